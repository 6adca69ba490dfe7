"""One person in one community: joins, leaves, returns. Roles are granted and revoked in roles.py."""

from datetime import datetime, timedelta
from typing import TypeAlias, assert_never

import msgspec

from services.membership.community import INVITATION, Community, Status
from services.membership.events import (
    MemberFact,
    MemberJoined,
    MemberLeft,
    RoleGranted,
    RoleRevoked,
    Touchpoint,
)
from shared.codec import Codec
from shared.decider import Fold
from shared.errors import Conflict, Forbidden, Invalid
from shared.moments import Moment, moment
from shared.permissions import Role

OWNER, MEMBER = Role.OWNER.value, Role.MEMBER.value


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """Become a member, or return as one.

    Attributes:
        join: UUID of this join.
        invitation, share_code: at most one of them.
        inviter: owner of that code, where known.
        referral, referrer: the person's binding in the organization after this join.
        occurred_at: None: now.
    """

    person: str
    join: str
    invitation: str | None
    share_code: str | None
    inviter: str | None
    touchpoint: Touchpoint | None
    referral: str
    referrer: str | None
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
    """How the person joined, and the roles it has now."""

    joined: MemberJoined
    roles: tuple[str, ...]


class Left(msgspec.Struct, frozen=True, kw_only=True, tag="left"):
    """Was a member once; may return."""

    left: MemberLeft


State: TypeAlias = Stranger | Active | Left


def roles_of(state: State) -> tuple[str, ...]:
    """The roles somebody has now: none for who is no active member."""
    return state.roles if isinstance(state, Active) else ()


def start(community: Community, *, join: str, referral: str, referrer: str | None) -> list[MemberFact]:
    """The founder becomes the owner and first member, in the same command that founds the community."""
    founded = community.founded
    command = Join(
        person=founded.owner,
        join=join,
        invitation=None,
        share_code=None,
        inviter=None,
        touchpoint=None,
        referral=referral,
        referrer=referrer,
        occurred_at=None,
        importing=False,
        now=founded.occurred_at,
    )
    when = Moment(founded.occurred_at, founded.local_day)
    return [_joined(command, community, (OWNER, MEMBER), first=True, when=when)]


def join(command: Join, community: Community, state: State) -> list[MemberFact]:
    """Join or return; nothing to do for an active member. Whether the invitation can be used is the invitation's matter.

    Raises:
        Invalid: `invitation-and-share-code`.
        Conflict: `community-not-launched`: a draft is open to invited people only.
        Forbidden: `invitation-required`.
        Forbidden, Invalid: `occurred_at` as stated is not allowed.
    """
    if isinstance(state, Active):
        return []
    if command.invitation is not None and command.share_code is not None:
        raise Invalid("invitation-and-share-code", "Join with an invitation or with a share code, not with both.")
    charter = community.founded.charter
    if command.invitation is None:
        if community.status is Status.DRAFT:
            raise Conflict(
                "community-not-launched", "This community is a draft. Join with an invitation, or when it is launched."
            )
        if INVITATION in charter.entry:
            raise Forbidden("invitation-required", "This community is joined with an invitation. Ask a member for one.")
    when = moment(command.occurred_at, now=command.now, importing=command.importing, zone=charter.zone)
    return [_joined(command, community, (MEMBER,), first=isinstance(state, Stranger), when=when)]


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
    if OWNER in state.roles:
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


def _joined(command: Join, community: Community, roles: tuple[str, ...], *, first: bool, when: Moment) -> MemberJoined:
    founded = community.founded
    return MemberJoined(
        organization=founded.organization,
        community=founded.community,
        community_status=community.status.value,
        zone=founded.charter.zone,
        currency=founded.charter.currency,
        person=command.person,
        roles=roles,
        first_in_community=first,
        accepted_rulebook=founded.rulebook,
        occurred_at=when.occurred_at,
        local_day=when.local_day,
        join=command.join,
        invitation=command.invitation,
        share_code=command.share_code,
        inviter=command.inviter,
        touchpoint=command.touchpoint,
        referral=command.referral,
        referrer=command.referrer,
    )


def evolve(state: State, event: MemberFact) -> State:
    match event:
        case MemberJoined():
            return Active(joined=event, roles=event.roles)
        case MemberLeft():
            return Left(left=event)
        case RoleGranted() | RoleRevoked() if isinstance(state, Active):
            return msgspec.structs.replace(state, roles=event.roles)
        case RoleGranted() | RoleRevoked():
            return state
    assert_never(event)


FOLD: Fold[State, MemberFact] = Fold(
    initial=Stranger(),
    evolve=evolve,
    codec=Codec[MemberFact]([MemberJoined, MemberLeft, RoleGranted, RoleRevoked]),
    state_type=State,
)
