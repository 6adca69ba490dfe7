"""Content's own copy of who belongs where: folded from `membership.events`, so that posting needs no other service."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from services.content import inbound
from services.content.inbound import CommunityFounded, CommunityLaunched, MemberJoined, MemberLeft, RolesChanged
from services.content.standing import CommunityStatus, Standing
from shared.messaging.facts import LaneFacts, Poison

TABLES = {"communities": "community", "members": "community, person"}
"""What is folded here: the tables and their primary keys."""

StandingKey = tuple[str, str]
"""Community and person."""

_STATUS = {"draft": CommunityStatus.DRAFT, "launched": CommunityStatus.LAUNCHED, "retired": CommunityStatus.RETIRED}

# A row of a community is shared by all lanes: it is only touched where its status rises or its landing URL becomes known,
# so that a join of a known community neither locks nor rewrites it. The plain read may be stale; the merge is monotone,
# so nothing is lost.
_COMMUNITIES = """
insert into communities (community, organization, status, zone, currency, landing_url)
select heard.community, heard.organization, heard.status, heard.zone, heard.currency, heard.landing_url
  from unnest($1::uuid[], $2::text[], $3::smallint[], $4::text[], $5::text[], $6::text[])
       as heard (community, organization, status, zone, currency, landing_url)
  left join communities as kept on kept.community = heard.community
 where kept.status is null or kept.status < heard.status
    or (kept.landing_url is null and heard.landing_url is not null)
 order by heard.community
    on conflict (community) do update
   set status = greatest(communities.status, excluded.status),
       landing_url = coalesce(communities.landing_url, excluded.landing_url)
"""

_MEMBERS = """
insert into members (community, person, active, roles)
select community, person, active, roles
  from unnest($1::uuid[], $2::text[], $3::boolean[], $4::text[]) as heard (community, person, active, roles_text),
       string_to_array(heard.roles_text, ',') as roles
 order by community, person
    on conflict (community, person) do update
   set active = excluded.active, roles = excluded.roles
"""

_STANDINGS = """
select wanted.place, community.organization, community.status, community.zone, community.currency,
       coalesce(member.roles, '{}') as roles
  from unnest($1::uuid[], $2::text[]) with ordinality as wanted (community, person, place)
  join communities as community on community.community = wanted.community
  left join members as member on (member.community, member.person) = (wanted.community, wanted.person)
"""


class _Community(NamedTuple):
    organization: str
    status: CommunityStatus
    zone: str
    currency: str
    landing_url: str | None


class _Member(NamedTuple):
    active: bool
    roles: tuple[str, ...]


class Replica:
    """Folds membership's messages into `communities` and `members`.

    A person's messages come in one lane, in order: the last one says what the person is. Messages about a community
    come in many lanes, in any order; each says how far the community's life had come, and the furthest holds. Where its
    short links lead was laid down at its founding, and whichever message says so first is believed.
    """

    consumer = "content"
    topics: Sequence[str] = (inbound.TOPIC,)
    types = frozenset(inbound.READERS)

    async def apply(self, connection: Any, lanes: Sequence[LaneFacts]) -> None:
        """See `shared.messaging.facts.Projection.apply`."""
        communities: dict[str, _Community] = {}
        members: dict[StandingKey, _Member] = {}
        for lane in lanes:
            for fact in lane.facts:
                match inbound.read(fact):
                    case CommunityFounded() as founded:
                        _hear(communities, founded, CommunityStatus.DRAFT, founded.landing_url)
                    case CommunityLaunched() as launched:
                        _hear(communities, launched, CommunityStatus.LAUNCHED, launched.landing_url)
                    case MemberJoined() as joined:
                        if joined.community_status not in _STATUS:
                            raise Poison(fact, f"{joined.community_status!r} is no status of a community")
                        _hear(communities, joined, _STATUS[joined.community_status])
                        members[joined.community, joined.person] = _Member(True, joined.roles)
                    case MemberLeft() as left:
                        members[left.community, left.person] = _Member(False, ())
                    case RolesChanged() as changed:
                        members[changed.community, changed.person] = _Member(bool(changed.roles), changed.roles)
        if communities:
            await connection.execute(_COMMUNITIES, list(communities), *zip(*communities.values(), strict=True))
        if members:
            await connection.execute(
                _MEMBERS,
                [community for community, _ in members],
                [person for _, person in members],
                [member.active for member in members.values()],
                [",".join(member.roles) for member in members.values()],
            )


def _hear(
    communities: dict[str, _Community],
    message: CommunityFounded | CommunityLaunched | MemberJoined,
    status: CommunityStatus,
    landing_url: str | None = None,
) -> None:
    known = communities.get(message.community)
    if known is not None:
        status, landing_url = max(known.status, status), known.landing_url or landing_url
    communities[message.community] = _Community(
        message.organization, status, message.zone, message.currency, landing_url
    )


class Standings:
    """Look-up of (community, person) in the replica; no value where the community is unknown."""

    name = "standings"

    async def load(self, connection: Any, keys: Collection[StandingKey]) -> Mapping[StandingKey, Standing]:
        wanted = list(keys)
        rows = await connection.fetch(_STANDINGS, [key[0] for key in wanted], [key[1] for key in wanted])
        return {(key := wanted[row["place"] - 1]): _standing(key, row) for row in rows}


def _standing(key: StandingKey, row: Mapping[str, Any]) -> Standing:
    return Standing(
        organization=row["organization"],
        community=key[0],
        status=CommunityStatus(row["status"]),
        zone=row["zone"],
        currency=row["currency"],
        roles=tuple(row["roles"]),
    )
