"""Roles of a member: granted, revoked, and passed on with the ownership."""

from collections.abc import Collection, Iterable
from datetime import datetime

import msgspec

from services.membership.community import Community
from services.membership.events import MemberFact, OwnershipTransferred, RoleGranted, RoleRevoked
from services.membership.member import Active, State
from shared.errors import NotFound
from shared.moments import Moment, moment
from shared.permissions import Action, Role, require


class ChangeRole(msgspec.Struct, frozen=True, kw_only=True):
    """Grant a role to a member, or take it.

    Attributes:
        by: who does it, who has `roles` in the community.
    """

    role: Role
    by: str
    roles: Collection[str]
    now: datetime


def grant(command: ChangeRole, community: Community, state: State) -> list[MemberFact]:
    """Give the member the role; nothing to do if it has it.

    Raises:
        Forbidden: `not-a-member`, `role-missing`: who grants lacks the right.
        NotFound: `member-not-found`.
    """
    require(Action.GRANT_ADMIN, command.roles)
    member = _active(state)
    if command.role in member.roles:
        return []
    return [_granted(member, command.role, member.roles, by=command.by, when=_now(command.now, community))]


def revoke(command: ChangeRole, community: Community, state: State) -> list[MemberFact]:
    """Take the role from the member; nothing to do if it does not have it.

    Raises:
        Forbidden: `not-a-member`, `role-missing`: who revokes lacks the right.
        NotFound: `member-not-found`.
    """
    require(Action.REVOKE_ADMIN, command.roles)
    member = _active(state)
    if command.role not in member.roles:
        return []
    return [_revoked(member, command.role, by=command.by, when=_now(command.now, community))]


def give_up(fact: OwnershipTransferred, state: State) -> list[MemberFact]:
    """The previous owner becomes an admin, in the command that transfers the community."""
    member, when = _active(state), Moment(fact.occurred_at, fact.local_day)
    revoked = _revoked(member, Role.OWNER, by=fact.previous_owner, when=when)
    if Role.ADMIN in revoked.roles:
        return [revoked]
    return [revoked, _granted(member, Role.ADMIN, revoked.roles, by=fact.previous_owner, when=when)]


def take_over(fact: OwnershipTransferred, state: State) -> list[MemberFact]:
    """The new owner gets the role, in the command that transfers the community.

    Raises:
        NotFound: `member-not-found`: is no active member.
    """
    member, when = _active(state), Moment(fact.occurred_at, fact.local_day)
    return [_granted(member, Role.OWNER, member.roles, by=fact.previous_owner, when=when)]


def _active(state: State) -> Active:
    if not isinstance(state, Active):
        raise NotFound("member-not-found", "This person is not an active member of the community.")
    return state


def _now(now: datetime, community: Community) -> Moment:
    return moment(None, now=now, importing=False, zone=community.founded.charter.zone)


def _by_rank(roles: Iterable[str]) -> tuple[str, ...]:
    return tuple(role.value for role in Role if role in roles)


def _granted(member: Active, role: Role, held: tuple[str, ...], *, by: str, when: Moment) -> RoleGranted:
    joined = member.joined
    return RoleGranted(
        organization=joined.organization,
        community=joined.community,
        zone=joined.zone,
        currency=joined.currency,
        person=joined.person,
        role=role.value,
        granted_by=by,
        roles=_by_rank((*held, role.value)),
        occurred_at=when.occurred_at,
        local_day=when.local_day,
    )


def _revoked(member: Active, role: Role, *, by: str, when: Moment) -> RoleRevoked:
    joined = member.joined
    return RoleRevoked(
        organization=joined.organization,
        community=joined.community,
        zone=joined.zone,
        currency=joined.currency,
        person=joined.person,
        role=role.value,
        revoked_by=by,
        roles=tuple(held for held in member.roles if held != role),
        occurred_at=when.occurred_at,
        local_day=when.local_day,
    )
