"""Facts in, rows out: the read model of membership, written in the transaction of the facts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from services.membership.events import CommunityFounded, CommunityLaunched, MemberJoined, MemberLeft
from shared.commands.recorded import Recorded

_FOUND = """
insert into communities (community, organization, owner, name, affinity, purpose, kind, tags, zone, currency, capacity,
                         entry, launch_base, probation_days, rulebook, founded_at, version)
select community, organization, owner, name, affinity, purpose, kind, tags, zone, currency, capacity,
       entry, launch_base, probation_days, rulebook, founded_at, version
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[],
              $9::text[], $10::text[], $11::bigint[], $12::jsonb[], $13::bigint[], $14::integer[], $15::text[],
              $16::timestamptz[], $17::bigint[])
       as founded (community, organization, owner, name, affinity, purpose, kind, tags, zone, currency, capacity,
                   entry, launch_base, probation_days, rulebook, founded_at, version)
"""

_LAUNCH = """
update communities
   set launched_at = launched.launched_at, version = launched.version
  from unnest($1::uuid[], $2::timestamptz[], $3::bigint[]) as launched (community, launched_at, version)
 where communities.community = launched.community
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

_Row: TypeAlias = tuple[Any, ...]


async def project(connection: Any, facts: Sequence[Recorded]) -> None:
    """Write what these new facts change: one statement per table, whatever their number."""
    founded: list[_Row] = []
    launched: list[_Row] = []
    members: dict[tuple[str, str], _Row] = {}  # the last fact of a member in the batch wins
    for fact in facts:
        match fact.event:
            case CommunityFounded() as event:
                founded.append(_community(event, fact.version))
            case CommunityLaunched() as event:
                launched.append((event.community, event.occurred_at, fact.version))
            case MemberJoined() as event:
                row = _member(event, event.roles, event.occurred_at, None, fact.version)
                members[event.community, event.person] = row
            case MemberLeft() as event:
                row = _member(event, (), event.joined_at, event.occurred_at, fact.version)
                members[event.community, event.person] = row
    for statement, rows in ((_FOUND, founded), (_LAUNCH, launched), (_MEMBERS, list(members.values()))):
        if rows:
            await connection.execute(statement, *zip(*rows, strict=True))


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


def _json(values: Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()
