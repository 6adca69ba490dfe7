"""RFC 9457: every refusal, framework error and outage becomes `application/problem+json`, here and nowhere else."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared import errors
from shared.outages import outage_of

MEDIA_TYPE = "application/problem+json"
_MOST_ERRORS = 20
_LONGEST_TEXT = 200

_STATUS: dict[type[errors.Refusal], int] = {
    errors.BadRequest: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.Invalid: 422,
    errors.PreconditionRequired: 428,
    errors.Unavailable: 503,
}
FRAMEWORK = {
    404: ("no-such-path", "There is nothing at this path. See /openapi.json for what there is."),
    405: ("method-not-allowed", "This path does not take this method; the header Allow lists those it takes."),
    406: ("not-acceptable", "Answers are application/json; accept that."),
    408: ("body-too-slow", "The body did not arrive in time."),
    413: ("body-too-large", "The body is larger than this API takes."),
    415: ("media-type-unsupported", "Send the body as `Content-Type: application/json`."),
}


class FieldError(BaseModel):
    """One value that breaks a rule."""

    model_config = ConfigDict(extra="allow")

    pointer: str | None = Field(None, description="JSON pointer into the body.", examples=["/title"])
    parameter: str | None = Field(None, description="Name of a path, query or header parameter.", examples=["limit"])
    reason: str = Field(description="Stable machine reason.", examples=["string-too-long"])
    detail: str = Field(description="What is wrong, for a person.")


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`/problems/<reason>`: stable, for programs.", examples=["/problems/not-a-member"])
    title: str = Field(description="The reason in words.")
    status: int = Field(description="The HTTP status.", examples=[403])
    detail: str = Field(description="What is wrong and what to do, for a person.")
    instance: str = Field(description="The request id, to find it in logs.")
    errors: list[FieldError] | None = Field(None, description="With 422: each value that breaks a rule.")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route: these statuses, answered as problem documents."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def refusal_of(error: BaseException) -> errors.Refusal | None:
    """The refusal that an exception stands for; None for a bug."""
    return error if isinstance(error, errors.Refusal) else outage_of(error)


def status_of(refusal: errors.Refusal) -> int:
    """The HTTP status of a kind of refusal."""
    for kind in type(refusal).__mro__:
        if kind in _STATUS:
            return _STATUS[kind]
    return 400


def refused(refusal: errors.Refusal, request_id: str) -> Response:
    """The answer to a refused request."""
    status = status_of(refusal)
    headers = {}
    if isinstance(refusal, errors.Unavailable):
        headers["retry-after"] = str(refusal.retry_after_seconds)
    if status == 401:
        headers["www-authenticate"] = f'Bearer error="invalid_token", error_description="{refusal.reason}"'
    return problem(status, refusal.reason, refusal.detail, request_id, headers=headers, extras=refusal.extras)


def problem(
    status: int,
    reason: str,
    detail: str,
    request_id: str,
    *,
    headers: Mapping[str, str] | None = None,
    extras: Mapping[str, Any] | None = None,
) -> Response:
    """One problem document as an answer."""
    document = {
        **(extras or {}),
        "type": f"/problems/{reason}",
        "title": reason.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": request_id,
    }
    # Pure ASCII: whatever a request smuggled into a text, the answer can be written.
    return Response(json.dumps(document, default=str).encode(), status, headers, MEDIA_TYPE)


def unhandled(request_id: str) -> Response:
    """The answer when something of ours broke: no detail leaves the house."""
    detail = "Something broke on our side. It has been logged under the request id."
    return problem(500, "internal-error", detail, request_id)


def answer_to(
    error: Exception, refusal: errors.Refusal | None, request_id: str, headers: Mapping[str, str]
) -> Response | None:
    """The answer to an exception, with `headers` added; None for a bug."""
    if refusal is not None:
        return refused(refusal, request_id)
    if isinstance(error, RequestValidationError):
        return invalid(error, request_id)
    if isinstance(error, HTTPException):
        reason, detail = FRAMEWORK.get(error.status_code, _other(error))
        merged = {**{name.lower(): value for name, value in (error.headers or {}).items()}, **headers}
        return problem(error.status_code, reason, detail, request_id, headers=merged)
    return None


def _other(error: HTTPException) -> tuple[str, str]:
    return HTTPStatus(error.status_code).phrase.lower().replace(" ", "-"), str(error.detail)


def invalid(error: RequestValidationError, request_id: str) -> Response:
    """The answer to a body or parameter that does not fit its model."""
    found = [_field_error(item) for item in error.errors()[:_MOST_ERRORS]]
    detail = "Some values break a rule; `errors` names each."
    return problem(422, "invalid-request", detail, request_id, extras={"errors": found})


def _field_error(item: Mapping[str, Any]) -> dict[str, str]:
    # Values are never repeated: they may be huge, secret, or not representable in JSON.
    location: Sequence[Any] = item["loc"]
    where = (
        {"pointer": "".join(f"/{_pointer(part)}" for part in location[1:])}
        if location and location[0] == "body"
        else {"parameter": _short(".".join(str(part) for part in location[1:]))}
    )
    return {**where, "reason": str(item["type"]).replace("_", "-"), "detail": _short(str(item["msg"]))}


def _pointer(part: object) -> str:
    return _short(str(part)).replace("~", "~0").replace("/", "~1")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"
