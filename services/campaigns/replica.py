"""Campaigns' own copy of communities, referral bindings and shares, so that a purchase needs no other service."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from services.campaigns import inbound
from services.campaigns.inbound import (
    CommunityFounded,
    CommunityLaunched,
    ContentShared,
    MemberJoined,
    ReferralAbsent,
    ReferralBound,
)
from services.campaigns.purchase import Community
from shared.messaging.facts import LaneFacts

TABLES = {
    "communities": "community",
    "bindings": "organization, person",
    "pending_joins": "organization, person, join_id",
    "shares": "code",
}
"""What is folded here: the tables and their primary keys."""

CONSUMER = "campaigns"

# A row of a community is shared by all lanes: it is only written where it is missing, so that a join of a known
# community waits for nobody. What is said of a community never changes, so the first to say it says it for good.
_COMMUNITIES = """
insert into communities (community, organization, zone, currency)
select heard.community, heard.organization, heard.zone, heard.currency
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as heard (community, organization, zone, currency)
 where not exists (select from communities as kept where kept.community = heard.community)
 order by heard.community
    on conflict (community) do nothing
"""

_BINDINGS = """
insert into bindings (organization, person, referrer, since)
select organization, person, referrer, since
  from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) as heard (organization, person, referrer, since)
 order by organization, person
    on conflict (organization, person) do update
   set referrer = excluded.referrer, since = excluded.since
 where excluded.since < bindings.since
"""

_SETTLED = """
delete from pending_joins
 using unnest($1::text[], $2::text[], $3::uuid[]) as settled (organization, person, join_id)
 where (pending_joins.organization, pending_joins.person, pending_joins.join_id)
     = (settled.organization, settled.person, settled.join_id)
"""

_PENDING = """
insert into pending_joins (organization, person, join_id, recorded_at)
select organization, person, join_id, recorded_at
  from unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[])
       as heard (organization, person, join_id, recorded_at)
 order by organization, person, join_id
"""

_SHARES = """
insert into shares (code, organization, sharer, occurred_at, recorded_at)
select code, organization, sharer, occurred_at, recorded_at
  from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
       as heard (code, organization, sharer, occurred_at, recorded_at)
 order by code
    on conflict (code) do nothing
"""

_FIND_COMMUNITIES = """
select community::text as community, organization, zone, currency from communities where community = any($1::uuid[])
"""


class _Binding(NamedTuple):
    referrer: str
    since: datetime


_Person: TypeAlias = tuple[str, str]
"""Organization and person."""


class _Heard:
    """What the messages of one transaction say, in the order of each lane."""

    def __init__(self) -> None:
        self.communities: dict[UUID, tuple[str, str, str]] = {}
        self.bindings: dict[_Person, _Binding] = {}
        self.pending: dict[tuple[str, str, UUID], datetime] = {}
        self.settled: set[tuple[str, str, UUID]] = set()
        self.shares: dict[str, tuple[str, str, datetime, datetime]] = {}

    def hear(self, message: inbound.Inbound) -> None:
        match message:
            case CommunityFounded() | CommunityLaunched():
                self._community(message)
            case MemberJoined() as joined:
                self._community(joined)
                self._joined(joined)
            case ReferralBound() as bound:
                self._bound(bound.organization, bound.person, _Binding(bound.referrer, bound.joined_recorded_at))
                self._settled(bound)
            case ReferralAbsent() as absent:
                self._settled(absent)
            case ContentShared() as share:
                row = (share.organization, share.sharer, share.occurred_at, share.recorded_at)
                self.shares.setdefault(share.code, row)

    def _community(self, message: CommunityFounded | CommunityLaunched | MemberJoined) -> None:
        self.communities.setdefault(message.community, (message.organization, message.zone, message.currency))

    def _joined(self, joined: MemberJoined) -> None:
        if joined.referral == "bound" and joined.referrer is not None:
            self._bound(joined.organization, joined.person, _Binding(joined.referrer, joined.recorded_at))
        elif joined.referral == "pending" and joined.join is not None:
            self.pending[joined.organization, joined.person, joined.join] = joined.recorded_at

    def _bound(self, organization: str, person: str, binding: _Binding) -> None:
        """The earliest binding holds, for good."""
        known = self.bindings.get((organization, person))
        if known is None or binding.since < known.since:
            self.bindings[organization, person] = binding

    def _settled(self, settled: ReferralBound | ReferralAbsent) -> None:
        key = (settled.organization, settled.person, settled.join)
        if self.pending.pop(key, None) is None:
            self.settled.add(key)


class Replica:
    """Folds membership's and content's messages into `communities`, `bindings`, `pending_joins` and `shares`.

    A person's messages come in one lane, in order: a pending join before what settles it. All else holds in any order.
    """

    consumer = CONSUMER
    topics: Sequence[str] = (inbound.MEMBERSHIP, inbound.CONTENT)
    types = frozenset(inbound.READERS)

    async def apply(self, connection: Any, lanes: Sequence[LaneFacts]) -> None:
        """See `shared.messaging.facts.Projection.apply`."""
        heard = _Heard()
        for lane in lanes:
            for fact in lane.facts:
                heard.hear(inbound.read(fact))
        for statement, rows in (
            (_COMMUNITIES, _rows(heard.communities.items())),
            (_BINDINGS, [(*person, *binding) for person, binding in heard.bindings.items()]),
            (_SETTLED, list(heard.settled)),
            (_PENDING, [(*key, recorded_at) for key, recorded_at in heard.pending.items()]),
            (_SHARES, _rows(heard.shares.items())),
        ):
            if rows:
                await connection.execute(statement, *zip(*rows, strict=True))


def _rows(items: Iterable[tuple[Any, tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
    return [(key, *values) for key, values in items]


class Communities:
    """Look-up of a community by its id."""

    name = "communities"

    async def load(self, connection: Any, keys: Collection[str]) -> Mapping[str, Community]:
        rows = await connection.fetch(_FIND_COMMUNITIES, list(keys))
        return {row["community"]: Community(**row) for row in rows}
