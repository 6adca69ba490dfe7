"""Who may read what: the checks in front of the read model, and what is read of a community before it is joined."""

import asyncio
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from services.membership import community, readmodels
from shared.permissions import Action, require

_REMEMBERED = 100_000


async def known_community(reader: AsyncEngine, id: str, organization: str) -> readmodels.CommunityRow:
    """Raises NotFound: unknown, or of another organization."""
    row = await readmodels.community(reader, UUID(id))
    if row is None or row.organization != organization:
        raise community.not_found()
    return row


async def roles_of(reader: AsyncEngine, id: str, person: str) -> list[str]:
    """The person's roles in the community; none for who is no active member."""
    row = await readmodels.member(reader, UUID(id), person)
    return [] if row is None else row.roles


async def require_right(reader: AsyncEngine, id: str, person: str | None, action: Action) -> None:
    """Whether the person may do it in the community. None: a machine, which may.

    Raises:
        Forbidden: `not-a-member`, `role-missing`.
    """
    if person is not None:
        require(action, await roles_of(reader, id, person))


class Limits:
    """Which communities have a capacity. The places are a hot stream, so only then they are written."""

    def __init__(self, reader: AsyncEngine) -> None:
        self._reader = reader
        self._known: dict[tuple[str, str], asyncio.Task[bool]] = {}

    async def limited(self, id: str, organization: str) -> bool:
        """Whether the community has a capacity. Remembered for good, for a capacity is laid down at the founding; a crowd
        that asks for one community at the same time asks once.

        Raises:
            NotFound: unknown, or of another organization.
        """
        key = (organization, id)
        asking = self._known.get(key)
        if asking is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            asking = self._known[key] = asyncio.create_task(self._ask(id, organization))
        try:
            return await asyncio.shield(asking)
        except Exception:
            if self._known.get(key) is asking:
                del self._known[key]
            raise

    async def _ask(self, id: str, organization: str) -> bool:
        return (await known_community(self._reader, id, organization)).capacity is not None
