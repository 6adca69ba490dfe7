"""Read your own writes: a request that carries `Consistency-Token` waits until this service has seen those facts."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from shared.errors import BadRequest
from shared.http.parameters import Documented, documents, header_parameter
from shared.http.request import received
from shared.position import Token, parse_tokens

_MOST_TOKENS = 64
_TIMEOUT_SECONDS = 2.0


@documents(
    Documented(
        parameters=(
            header_parameter(
                "Consistency-Token",
                "As an earlier answer gave it (several, comma-separated): wait until its effects are visible here, "
                "at most two seconds, else 503.",
                example="membership.7.1-4711-3",
            ),
        ),
        statuses=(400, 503),
    )
)
async def consistency_tokens(request: Request) -> list[Token]:
    """Wait for the tokens of the request, and return them.

    Raises:
        BadRequest: the header is malformed.
        Unavailable: this service has not seen those facts in time.
    """
    header = received(request).header(b"consistency-token")
    if header is None:
        return []
    tokens = parse_tokens(header)
    if len(tokens) > _MOST_TOKENS:
        raise BadRequest("consistency-token-malformed", f"At most {_MOST_TOKENS} consistency tokens fit a request.")
    await request.scope["app"].state.service.passed.wait_for(tokens, timeout_seconds=_TIMEOUT_SECONDS)
    return tokens


ConsistencyTokens = Annotated[list[Token], Depends(consistency_tokens)]
