"""The kinds of refusal. Each carries a machine reason and a sentence that says what to do; HTTP numbers live in `shared.http.problems`."""

from typing import Any


class Refusal(Exception):
    """A request that is answered with no. Nothing was written.

    Args:
        reason: stable machine reason in kebab-case; part of the public API (problem `type`).
        detail: one or two sentences for a person: what is wrong, what to do.
        extras: further members of the problem document (JSON values).

    Attributes:
        token: consistency token of what the refusal is based on; set by the gateway, "" elsewhere.
    """

    def __init__(self, reason: str, detail: str, **extras: Any) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.extras = extras
        self.token = ""


class BadRequest(Refusal):
    """The request is malformed."""


class Unauthenticated(Refusal):
    """No valid token."""


class Forbidden(Refusal):
    """The caller is known, and may not."""


class NotFound(Refusal):
    """There is no such thing, or it belongs to another organization."""


class Conflict(Refusal):
    """The thing is in a state in which this cannot be done."""


class PreconditionFailed(Refusal):
    """`If-Match` names another version than the current one."""


class PreconditionRequired(Refusal):
    """An edit without `If-Match`."""


class Invalid(Refusal):
    """Well-formed, but a value breaks a rule, or the idempotency key was used for something else."""


class Unavailable(Refusal):
    """Cannot be answered now; try again after `retry_after_seconds`."""

    def __init__(self, reason: str, detail: str, *, retry_after_seconds: int = 1, **extras: Any) -> None:
        super().__init__(reason, detail, **extras)
        self.retry_after_seconds = retry_after_seconds
