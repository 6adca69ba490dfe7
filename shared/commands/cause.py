"""Why a fact was recorded: by a request, or in the background after an earlier fact. Stored with it, for explanations."""

from contextvars import ContextVar
from typing import Protocol, TypeAlias

import msgspec


class Request(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A request that changed something.

    Attributes:
        request: its id, as answered in `X-Request-Id`.
        route: method and path.
        caller: organization and subject (and acting person) of the token; None without a token.
        key: its `Idempotency-Key`; None where there is none.
    """

    request: str
    route: str
    caller: str | None = None
    key: str | None = None


class Earlier(msgspec.Struct, frozen=True, gc=False):
    """A fact of the same service that let a task in the background go on; its event id."""

    fact: str


Cause: TypeAlias = Request | Earlier

_JSON = msgspec.json.Encoder()


class Served(Protocol):
    """A request that is being served."""

    def cause(self) -> Request: ...


served: ContextVar[Served | None] = ContextVar("served", default=None)
"""The request that we are in."""


def current_cause() -> Cause | None:
    """The request that we are in, as a cause; None in the background."""
    request = served.get()
    return None if request is None else request.cause()


def encode(cause: Cause | None, key: str | None) -> str | None:
    """As stored in `events.cause`.

    Args:
        key: the idempotency key of the command.
    """
    if isinstance(cause, Request) and key is not None:
        cause = msgspec.structs.replace(cause, key=key)
    return None if cause is None else _JSON.encode(cause).decode()
