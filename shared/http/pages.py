"""Cursor pages: `?limit=&after=`, answered as `{"items": [...], "next": path or null}`."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec
from fastapi import Depends, Query
from pydantic import BaseModel, Field
from starlette.requests import Request

from shared.errors import BadRequest

Item = TypeVar("Item")
T = TypeVar("T")

_LARGEST_CURSOR = 1024

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""For numbers in cursors: what a PostgreSQL bigint holds."""


class PageOf(BaseModel, Generic[Item]):
    """A page of a list."""

    items: list[Item]
    next: str | None = Field(description="Path and query of the next page; null on the last one.")


@dataclass(frozen=True)
class PageRequest:
    """Which page is asked for.

    Attributes:
        limit: most items, 1..100.
        after: the cursor of the last item seen, or None for the first page; see `decode_cursor`.
    """

    limit: int
    after: str | None
    _path: str
    _query: str

    def cut(self, found: Sequence[T], place: Callable[[T], Any]) -> tuple[Sequence[T], str | None]:
        """The items of this page, and path and query of the next one, None on the last.

        Args:
            found: one item more than `limit`, if there are so many.
            place: where an item stands in the list, for `encode_cursor`.
        """
        shown = found[: self.limit]
        if len(found) == len(shown):
            return shown, None
        kept = [pair for pair in parse_qsl(self._query) if pair[0] not in {"after", "limit"}]
        cursor = encode_cursor(place(shown[-1]))
        return shown, f"{self._path}?{urlencode([*kept, ('limit', self.limit), ('after', cursor)])}"


async def page(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100, description="Most items to answer.")] = 20,
    after: Annotated[
        str | None, Query(min_length=1, max_length=_LARGEST_CURSOR, description="Cursor; follow `next` instead.")
    ] = None,
) -> PageRequest:
    """Which page the request asks for."""
    return PageRequest(limit, after, request.scope["path"], request.scope["query_string"].decode("latin-1"))


Page = Annotated[PageRequest, Depends(page)]


def encode_cursor(place: Any) -> str:
    """A place in a list (a tuple of numbers, texts, times) as an opaque text."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def decode_cursor(cursor: str, kind: type[T]) -> T:
    """Read a cursor made by `encode_cursor`, e.g. `decode_cursor(page.after, tuple[Int64, str])`.

    Raises:
        BadRequest: it is not one, or of another list.
    """
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        if b"\\u0000" in data:
            raise ValueError("NUL")
        return msgspec.json.decode(data, type=kind)
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        raise BadRequest("cursor-malformed", "Follow the `next` of the page before; cursors are not made up.") from None
