"""Facts in, rows out: the read model of membership, written in the transaction of the facts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from services.membership.events import (
    CommunityFounded,
    CommunityLaunched,
    InvitationCreated,
    InvitationUsed,
    MemberJoined,
    MemberLeft,
    OwnershipTransferred,
    ReferralAbsent,
    ReferralBound,
    ReferrerTaken,
    RoleGranted,
    RoleRevoked,
)
from services.membership.referral import PENDING
from shared.commands.recorded import Recorded

_FOUND = """
insert into communities (community, organization, owner, name, affinity, purpose, kind, tags, zone, currency, capacity,
                         entry, launch_base, probation_days, rulebook, landing_url, founded_at, version)
select community, organization, owner, name, affinity, purpose, kind, tags, zone, currency, capacity,
       entry, launch_base, probation_days, rulebook, landing_url, founded_at, version
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[],
              $9::text[], $10::text[], $11::bigint[], $12::jsonb[], $13::bigint[], $14::integer[], $15::text[],
              $16::text[], $17::timestamptz[], $18::bigint[])
       as founded (community, organization, owner, name, affinity, purpose, kind, tags, zone, currency, capacity,
                   entry, launch_base, probation_days, rulebook, landing_url, founded_at, version)
"""

_LAUNCH = """
update communities
   set launched_at = launched.launched_at, version = greatest(communities.version, launched.version)
  from unnest($1::uuid[], $2::timestamptz[], $3::bigint[]) as launched (community, launched_at, version)
 where communities.community = launched.community
"""

_TRANSFER = """
update communities
   set owner = transferred.owner, version = greatest(communities.version, transferred.version)
  from unnest($1::uuid[], $2::text[], $3::bigint[]) as transferred (community, owner, version)
 where communities.community = transferred.community
"""

_MEMBERS = """
insert into members (community, person, organization, roles, first_in_community, joined_at, left_at, version)
select community, person, organization, roles, first_in_community, joined_at, left_at, version
  from unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::boolean[], $6::timestamptz[], $7::timestamptz[],
              $8::bigint[])
       as member (community, person, organization, roles, first_in_community, joined_at, left_at, version)
    on conflict (community, person) do update
   set roles = excluded.roles, first_in_community = excluded.first_in_community, joined_at = excluded.joined_at,
       left_at = excluded.left_at, version = excluded.version
"""

_ROLES = """
update members
   set roles = changed.roles, version = changed.version
  from unnest($1::uuid[], $2::text[], $3::jsonb[], $4::bigint[]) as changed (community, person, roles, version)
 where (members.community, members.person) = (changed.community, changed.person)
"""

_INVITE = """
insert into invitations (code, organization, community, inviter, max_uses, expires_at, uses, created_at, version)
select code, organization, community, inviter, max_uses, expires_at, 0, created_at, version
  from unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::bigint[], $6::timestamptz[], $7::timestamptz[],
              $8::bigint[])
       as created (code, organization, community, inviter, max_uses, expires_at, created_at, version)
"""

_USE = """
update invitations
   set uses = used.uses, version = used.version
  from unnest($1::text[], $2::bigint[], $3::bigint[]) as used (code, uses, version)
 where invitations.code = used.code
"""

_BIND = """
insert into referrals (organization, person, referrer, since)
select organization, person, referrer, since
  from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) as bound (organization, person, referrer, since)
"""

_DEFER = """
insert into deferred_joins ("join", organization, person, inviter, share_code, stream_id, version)
select "join", organization, person, inviter, share_code, stream_id, version
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
       as deferred ("join", organization, person, inviter, share_code, stream_id, version)
"""

_SETTLE = 'delete from deferred_joins where "join" = any($1::uuid[])'

_Row: TypeAlias = tuple[Any, ...]


class _Rows:
    """What a batch of facts writes. Where several facts change one row, the last one wins."""

    def __init__(self) -> None:
        self.founded: list[_Row] = []
        self.launched: list[_Row] = []
        self.transferred: dict[str, _Row] = {}
        self.members: dict[tuple[str, str], _Row] = {}
        self.roles: dict[tuple[str, str], _Row] = {}
        self.invited: list[_Row] = []
        self.used: dict[str, _Row] = {}
        self.bound: list[_Row] = []
        self.deferred: list[_Row] = []
        self.settled: list[_Row] = []

    def take(self, fact: Recorded) -> None:
        match fact.event:
            case CommunityFounded() as event:
                self.founded.append(_community(event, fact.version))
            case CommunityLaunched() as event:
                self.launched.append((event.community, event.occurred_at, fact.version))
            case OwnershipTransferred() as event:
                self.transferred[event.community] = (event.community, event.owner, fact.version)
            case MemberJoined() as event:
                self._member(event, _member(event, event.roles, event.occurred_at, None, fact.version))
                if event.referral == PENDING:
                    self.deferred.append(_deferred(event, fact))
            case MemberLeft() as event:
                self._member(event, _member(event, (), event.joined_at, event.occurred_at, fact.version))
            case RoleGranted() | RoleRevoked() as event:
                key = (event.community, event.person)
                self.roles[key] = (*key, _json(event.roles), fact.version)
            case InvitationCreated() as event:
                self.invited.append(_invitation(event, fact.version))
            case InvitationUsed() as event:
                self.used[event.invitation] = (event.invitation, event.uses, fact.version)
            case ReferrerTaken() as event:
                self.bound.append((event.organization, event.person, event.referrer, fact.recorded_at))
            case ReferralBound() as event:
                self.bound.append((event.organization, event.person, event.referrer, event.joined_recorded_at))
                self.settled.append((event.join,))
            case ReferralAbsent() as event:
                self.settled.append((event.join,))

    def _member(self, event: MemberJoined | MemberLeft, row: _Row) -> None:
        key = (event.community, event.person)
        self.members[key] = row
        self.roles.pop(key, None)  # granted before, in the same batch


async def project(connection: Any, facts: Sequence[Recorded]) -> None:
    """Write what these new facts change: one statement per kind of change, whatever their number."""
    rows = _Rows()
    for fact in facts:
        rows.take(fact)
    statements: tuple[tuple[str, Sequence[_Row]], ...] = (
        (_FOUND, rows.founded),
        (_LAUNCH, rows.launched),
        (_TRANSFER, list(rows.transferred.values())),
        (_MEMBERS, list(rows.members.values())),
        (_ROLES, list(rows.roles.values())),
        (_INVITE, rows.invited),
        (_USE, list(rows.used.values())),
        (_BIND, rows.bound),
        (_DEFER, rows.deferred),
        (_SETTLE, rows.settled),
    )
    for statement, changed in statements:
        if changed:
            await connection.execute(statement, *zip(*changed, strict=True))


def _community(event: CommunityFounded, version: int) -> _Row:
    charter = event.charter
    return (
        event.community,
        event.organization,
        event.owner,
        charter.name,
        charter.affinity,
        charter.purpose,
        charter.kind,
        _json(charter.tags),
        charter.zone,
        charter.currency,
        charter.capacity,
        _json(charter.entry),
        charter.launch_base,
        charter.probation_days,
        event.rulebook,
        charter.landing_url,
        event.occurred_at,
        version,
    )


def _member(
    event: MemberJoined | MemberLeft,
    roles: tuple[str, ...],
    joined_at: datetime,
    left_at: datetime | None,
    version: int,
) -> _Row:
    return (
        event.community,
        event.person,
        event.organization,
        _json(roles),
        event.first_in_community,
        joined_at,
        left_at,
        version,
    )


def _invitation(event: InvitationCreated, version: int) -> _Row:
    return (
        event.invitation,
        event.organization,
        event.community,
        event.inviter,
        event.max_uses,
        event.expires_at,
        event.occurred_at,
        version,
    )


def _deferred(event: MemberJoined, fact: Recorded) -> _Row:
    return (
        event.join,
        event.organization,
        event.person,
        event.inviter,
        event.share_code,
        fact.stream_id,
        fact.version,
    )


def _json(values: Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()
