"""Who may read what: the checks in front of the read model."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from services.membership import community, readmodels
from shared.permissions import Action, require


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
