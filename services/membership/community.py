"""The life of a community: founded as a draft, launched by its owner, who may pass it on."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias, assert_never

import msgspec

from services.membership.events import Charter, CommunityFact, CommunityFounded, CommunityLaunched, OwnershipTransferred
from shared.codec import Codec
from shared.decider import Fold
from shared.errors import Conflict, Invalid, NotFound
from shared.moments import moment
from shared.permissions import Action, require

OFFERED_KINDS = frozenset({"general", "members", "course"})
OPEN = "open"
INVITATION = "invitation"
OFFERED_ENTRY = ((OPEN,), (INVITATION,))
DEFAULT_RULEBOOK = "default"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Found a community, as a draft. `occurred_at` None: now."""

    organization: str
    community: str
    founder: str
    charter: Charter
    occurred_at: datetime | None
    importing: bool
    now: datetime


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """Open a draft to the public.

    Attributes:
        roles: that the person has in it.
        members: how many active members it has now.
    """

    organization: str
    person: str
    roles: Collection[str]
    members: int
    now: datetime


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """Make another member the owner. `roles`: that the person has in the community."""

    organization: str
    person: str
    roles: Collection[str]
    to: str
    now: datetime


class Status(StrEnum):
    DRAFT = "draft"
    LAUNCHED = "launched"


class Unfounded(msgspec.Struct, frozen=True, tag="unfounded"):
    """There is no such community."""


class Community(msgspec.Struct, frozen=True, kw_only=True, tag="community"):
    """A community, how it was founded, and who owns it now. `launched_at` None: still a draft."""

    founded: CommunityFounded
    owner: str
    launched_at: datetime | None = None

    @property
    def status(self) -> Status:
        return Status.DRAFT if self.launched_at is None else Status.LAUNCHED


State: TypeAlias = Unfounded | Community


def found(command: Found, state: State) -> list[CommunityFact]:
    """Found the community; nothing to do if it stands.

    Raises:
        Invalid: `kind-not-offered`, `entry-not-offered`, `launch-base-above-capacity`.
        Forbidden, Invalid: `occurred_at` as stated is not allowed.
    """
    if isinstance(state, Community):
        return []
    _check(command.charter)
    occurred_at, local_day = moment(
        command.occurred_at, now=command.now, importing=command.importing, zone=command.charter.zone
    )
    return [
        CommunityFounded(
            organization=command.organization,
            community=command.community,
            owner=command.founder,
            charter=command.charter,
            rulebook=DEFAULT_RULEBOOK,
            occurred_at=occurred_at,
            local_day=local_day,
        )
    ]


def _check(charter: Charter) -> None:
    if charter.kind not in OFFERED_KINDS:
        raise Invalid(
            "kind-not-offered",
            f"Communities of kind {charter.kind} must close at a given time, which is not offered yet. "
            f"Offered: {', '.join(sorted(OFFERED_KINDS))}.",
        )
    if charter.entry not in OFFERED_ENTRY:
        raise Invalid("entry-not-offered", 'The entry policies offered yet are ["open"] and ["invitation"].')
    if charter.capacity is not None and charter.launch_base > charter.capacity:
        raise Invalid(
            "launch-base-above-capacity",
            "The community could never be launched: its launch base is larger than its capacity.",
        )


def launch(command: Launch, state: State) -> list[CommunityFact]:
    """Launch the draft; nothing to do if it is launched.

    Raises:
        NotFound: no such community in the organization.
        Forbidden: `not-a-member`, `role-missing`.
        Conflict: `launch-base-not-reached`.
    """
    community = known(state, organization=command.organization)
    founded = community.founded
    require(Action.LAUNCH_COMMUNITY, command.roles)
    if community.status is Status.LAUNCHED:
        return []
    if command.members < founded.charter.launch_base:
        raise Conflict(
            "launch-base-not-reached",
            f"The community needs {founded.charter.launch_base} members to be launched; it has {command.members}.",
            launch_base=founded.charter.launch_base,
            members=command.members,
        )
    occurred_at, local_day = moment(None, now=command.now, importing=False, zone=founded.charter.zone)
    return [
        CommunityLaunched(
            organization=founded.organization,
            community=founded.community,
            zone=founded.charter.zone,
            currency=founded.charter.currency,
            launched_by=command.person,
            members=command.members,
            occurred_at=occurred_at,
            local_day=local_day,
            landing_url=founded.charter.landing_url,
        )
    ]


def transfer(command: Transfer, state: State) -> list[OwnershipTransferred]:
    """Pass the community on; nothing to do where it is the owner's own already.

    Raises:
        NotFound: no such community in the organization.
        Forbidden: `not-a-member`, `role-missing`.
    """
    community = known(state, organization=command.organization)
    require(Action.TRANSFER_OWNERSHIP, command.roles)
    if command.to == community.owner:
        return []
    founded = community.founded
    occurred_at, local_day = moment(None, now=command.now, importing=False, zone=founded.charter.zone)
    return [
        OwnershipTransferred(
            organization=founded.organization,
            community=founded.community,
            zone=founded.charter.zone,
            currency=founded.charter.currency,
            previous_owner=community.owner,
            owner=command.to,
            occurred_at=occurred_at,
            local_day=local_day,
        )
    ]


def known(state: State, *, organization: str) -> Community:
    """The community, if it stands and belongs to `organization`; else NotFound, in the same words for both."""
    if isinstance(state, Community) and state.founded.organization == organization:
        return state
    raise not_found()


def not_found() -> NotFound:
    return NotFound("community-not-found", "There is no such community.")


def evolve(state: State, event: CommunityFact) -> State:
    match event:
        case CommunityFounded():
            return Community(founded=event, owner=event.owner)
        case CommunityLaunched() if isinstance(state, Community):
            return msgspec.structs.replace(state, launched_at=event.occurred_at)
        case OwnershipTransferred() if isinstance(state, Community):
            return msgspec.structs.replace(state, owner=event.owner)
        case CommunityLaunched() | OwnershipTransferred():
            return state
    assert_never(event)


FOLD: Fold[State, CommunityFact] = Fold(
    initial=Unfounded(),
    evolve=evolve,
    codec=Codec[CommunityFact]([CommunityFounded, CommunityLaunched, OwnershipTransferred]),
    state_type=State,
)
