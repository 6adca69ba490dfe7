"""To which organization and community a post or comment belongs: it never changes, so it is read once and remembered."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from services.content import comment, post, readmodels

_REMEMBERED = 10_000


class Home(NamedTuple):
    """`post`: the post itself, or the one that the comment is on."""

    organization: str
    community: str
    post: str


class Homes:
    """Finds homes. `organization` is the caller's: what belongs to another one does not exist for it."""

    def __init__(self, reader: AsyncEngine) -> None:
        self._reader = reader
        self._known: dict[tuple[str, str], Home] = {}

    async def of_post(self, id: str, organization: str) -> Home:
        """Raises NotFound `post-not-found`."""
        home = self._known.get(("post", id)) or await self._read_post(id)
        if home is None or home.organization != organization:
            raise post.not_found()
        return self._remember("post", id, home)

    async def of_comment(self, id: str, organization: str) -> Home:
        """Raises NotFound `comment-not-found`."""
        home = self._known.get(("comment", id)) or await self._read_comment(id)
        if home is None or home.organization != organization:
            raise comment.not_found()
        return self._remember("comment", id, home)

    def _remember(self, kind: str, id: str, home: Home) -> Home:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[kind, id] = home
        return home

    async def _read_post(self, id: str) -> Home | None:
        row = await readmodels.post(self._reader, UUID(id))
        return Home(row.organization, str(row.community), id) if row is not None else None

    async def _read_comment(self, id: str) -> Home | None:
        row = await readmodels.comment(self._reader, UUID(id))
        return Home(row.organization, str(row.community), str(row.post)) if row is not None else None
