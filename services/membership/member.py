"""One person in one community: joins, leaves, returns."""

from datetime import datetime, timedelta
from typing import TypeAlias, assert_never

import msgspec

from services.membership.community import Community, Status
from services.membership.events import MemberFact, MemberJoined, MemberLeft
from shared.codec import Codec
from shared.decider import Fold
from shared.errors import Conflict, Forbidden
from shared.moments import Moment, moment

OWNER = "owner"
MEMBER = "member"


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """Become a member, or return as one. `occurred_at` None: now."""

    person: str
    occurred_at: datetime | None
    importing: bool
    now: datetime


class Leave(msgspec.Struct, frozen=True, kw_only=True):
    """Stop being a member."""

    person: str
    now: datetime


class Stranger(msgspec.Struct, frozen=True, tag="stranger"):
    """Was never a member."""


class Active(msgspec.Struct, frozen=True, kw_only=True, tag="active"):
    joined: MemberJoined


class Left(msgspec.Struct, frozen=True, kw_only=True, tag="left"):
    """Was a member once; may return."""

    left: MemberLeft


State: TypeAlias = Stranger | Active | Left


def start(community: Community) -> list[MemberFact]:
    """The founder becomes the owner and first member, in the same command that founds the community."""
    founded = community.founded
    when = Moment(founded.occurred_at, founded.local_day)
    return [_joined(community, founded.owner, (OWNER, MEMBER), first=True, when=when)]


def join(command: Join, community: Community, state: State) -> list[MemberFact]:
    """Join or return; nothing to do for an active member.

    Raises:
        Conflict: `community-not-launched`: a draft has only its founder.
        Forbidden, Invalid: `occurred_at` as stated is not allowed.
    """
    if isinstance(state, Active):
        return []
    if community.status is Status.DRAFT:
        raise Conflict("community-not-launched", "This community is a draft. It opens when its owner launches it.")
    zone = community.founded.charter.zone
    when = moment(command.occurred_at, now=command.now, importing=command.importing, zone=zone)
    return [_joined(community, command.person, (MEMBER,), first=isinstance(state, Stranger), when=when)]


def leave(command: Leave, community: Community, state: State) -> list[MemberFact]:
    """Leave; nothing to do for somebody who has left.

    Raises:
        Forbidden: `not-a-member`: never was one.
        Conflict: `owner-cannot-leave`.
    """
    if isinstance(state, Stranger):
        raise Forbidden("not-a-member", "Only a member can leave.")
    if isinstance(state, Left):
        return []
    joined = state.joined
    if OWNER in joined.roles:
        raise Conflict("owner-cannot-leave", "The owner cannot leave the community: it would have none.")
    founded = community.founded
    occurred_at, local_day = moment(None, now=command.now, importing=False, zone=founded.charter.zone)
    return [
        MemberLeft(
            organization=founded.organization,
            community=founded.community,
            zone=founded.charter.zone,
            currency=founded.charter.currency,
            person=command.person,
            joined_at=joined.occurred_at,
            first_in_community=joined.first_in_community,
            within_probation=occurred_at < joined.occurred_at + timedelta(days=founded.charter.probation_days),
            occurred_at=occurred_at,
            local_day=local_day,
        )
    ]


def _joined(community: Community, person: str, roles: tuple[str, ...], *, first: bool, when: Moment) -> MemberJoined:
    founded = community.founded
    return MemberJoined(
        organization=founded.organization,
        community=founded.community,
        community_status=community.status.value,
        zone=founded.charter.zone,
        currency=founded.charter.currency,
        person=person,
        roles=roles,
        first_in_community=first,
        accepted_rulebook=founded.rulebook,
        occurred_at=when.occurred_at,
        local_day=when.local_day,
    )


def evolve(state: State, event: MemberFact) -> State:
    match event:
        case MemberJoined():
            return Active(joined=event)
        case MemberLeft():
            return Left(left=event)
    assert_never(event)


FOLD: Fold[State, MemberFact] = Fold(
    initial=Stranger(),
    evolve=evolve,
    codec=Codec[MemberFact]([MemberJoined, MemberLeft]),
    state_type=State,
)
