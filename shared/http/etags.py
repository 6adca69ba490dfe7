"""Stream versions as strong ETags, and the preconditions clients send back."""

import re
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from shared.errors import BadRequest, PreconditionRequired
from shared.http.parameters import Documented, documents, header_parameter
from shared.http.request import received

_STRONG = re.compile(r'"(0|[1-9][0-9]{0,17})"')


def etag(version: int) -> str:
    """The strong ETag of a stream's version."""
    return f'"{version}"'


@documents(
    Documented(
        parameters=(header_parameter("If-Match", "The ETag of the version to change.", required=True, example='"3"'),),
        statuses=(400, 412, 428),
    )
)
async def if_match(request: Request) -> int:
    """The version that the client means to change.

    Raises:
        PreconditionRequired: there is no `If-Match`.
        BadRequest: it is not one strong ETag of ours.
    """
    header = received(request).header(b"if-match")
    if header is None:
        raise PreconditionRequired("if-match-missing", "Send If-Match with the ETag of what you mean to change.")
    match = _STRONG.fullmatch(header.strip())
    if match is None:
        raise BadRequest("if-match-malformed", 'If-Match takes exactly one strong ETag as given, e.g. "3"; no `*`.')
    return int(match[1])


def none_match(request: Request, tag: str) -> bool:
    """Whether `If-None-Match` names this ETag, so that 304 is the answer."""
    header = received(request).header(b"if-none-match")
    if header is None:
        return False
    return header.strip() == "*" or tag in (part.strip().removeprefix("W/") for part in header.split(","))


IfMatch = Annotated[int, Depends(if_match)]
