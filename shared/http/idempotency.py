"""The `Idempotency-Key` of a POST, with what it is bound to: caller, route and body."""

import hashlib
from typing import Annotated

import msgspec
from fastapi import Depends
from starlette.requests import Request

from shared.commands.command import IdempotencyKey
from shared.errors import BadRequest
from shared.http.callers import authenticate
from shared.http.parameters import Documented, documents, header_parameter
from shared.http.request import received

_LONGEST = 255


_DOCUMENTED = Documented(
    parameters=(
        header_parameter(
            "Idempotency-Key",
            "Chosen by the caller, 1 to 255 visible ASCII characters, new for every new act. A retry with the same "
            "key and body gets the first answer again.",
            required=True,
            example="0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10",
        ),
    ),
    statuses=(400, 409, 422),
)


@documents(_DOCUMENTED)
async def idempotency(request: Request) -> IdempotencyKey:
    """Read the header.

    Raises:
        BadRequest: it is missing or malformed.
    """
    got = received(request)
    key = got.headers.get(b"idempotency-key")
    if key is None:
        raise BadRequest("idempotency-key-missing", "Send an Idempotency-Key header, a new one for every new act.")
    text = key.decode("latin-1")
    if not 1 <= len(text) <= _LONGEST or not (text.isascii() and text.isprintable()) or " " in text:
        raise BadRequest(
            "idempotency-key-malformed", f"An Idempotency-Key has 1 to {_LONGEST} visible ASCII characters."
        )
    caller = await authenticate(request)
    return IdempotencyKey(
        caller=caller.key,
        key=text,
        route=got.route,
        body_hash=hashlib.sha256(got.body).digest(),
        keep=caller.importing,
    )


@documents(_DOCUMENTED)
async def lasting_idempotency(request: Request) -> IdempotencyKey:
    """As `idempotency`, for money: the key never expires."""
    return msgspec.structs.replace(await idempotency(request), keep=True)


Idempotency = Annotated[IdempotencyKey, Depends(idempotency)]
LastingIdempotency = Annotated[IdempotencyKey, Depends(lasting_idempotency)]
