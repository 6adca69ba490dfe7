"""What content knows of a person in a community, and what that allows: the right to read and to write."""

from enum import IntEnum

import msgspec

from shared.errors import Conflict, NotFound
from shared.permissions import Action, require


class CommunityStatus(IntEnum):
    """In the order of a community's life: a status only ever rises."""

    DRAFT = 1
    LAUNCHED = 2
    RETIRED = 3


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A person in a community, as far as this service has heard.

    Attributes:
        roles: of an active member; empty for everybody else.
    """

    organization: str
    community: str
    status: CommunityStatus
    zone: str
    currency: str
    roles: tuple[str, ...]


def known(standing: Standing | None, *, organization: str) -> Standing:
    """The standing in a community of `organization`.

    Raises:
        NotFound: the community is unknown here or belongs to another organization, in the same words for both.
    """
    if standing is None or standing.organization != organization:
        raise NotFound("community-not-found", "There is no such community.")
    return standing


def require_writer(standing: Standing, action: Action) -> None:
    """Whether the person may do this here, and now.

    Raises:
        Forbidden: `not-a-member`, `role-missing`.
        Conflict: `community-not-launched`, `community-retired`.
    """
    require(action, standing.roles)
    require_open(standing)


def require_open(standing: Standing) -> None:
    """Raises Conflict `community-not-launched` or `community-retired`."""
    match standing.status:
        case CommunityStatus.DRAFT:
            raise Conflict("community-not-launched", "This community is a draft. It opens when its owner launches it.")
        case CommunityStatus.RETIRED:
            raise Conflict("community-retired", "This community is retired. It can be read, nothing can be added.")
        case CommunityStatus.LAUNCHED:
            return
