"""What the replica knows of shares and bindings by some time; and whether what it does not know is absent for sure.

Absence is looked up in the very statement that says how far the lanes are folded: else a fact could come in between.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

from services.campaigns import inbound
from services.campaigns.chain import Share
from services.campaigns.replica import CONSUMER
from shared.messaging.watermarks import Watermark, folded_arguments
from shared.partitioning import partition_of

T = TypeVar("T")

_NOTHING = Watermark("", 0, 0, datetime.min.replace(tzinfo=UTC), {}, {})

_SHARES = """
with mark as materialized (
    select folded_through($1, $2, $3, $4, $5, $6, $7, $8) as folded
)
select wanted.place, share.organization, share.sharer, share.occurred_at, mark.folded
  from mark
 cross join unnest($9::text[], $10::timestamptz[]) with ordinality as wanted (code, until, place)
  left join shares as share on share.code = wanted.code and share.recorded_at <= wanted.until
"""

_BINDINGS = """
with mark as materialized (
    select lane, folded_through($1, $2, $3, array[lane], array[epoch], array[transaction_id], array[sequence], $8) as folded
      from unnest($4::smallint[], $5::integer[], $6::bigint[], $7::bigint[]) as mark (lane, epoch, transaction_id, sequence)
)
select wanted.place, binding.referrer,
       mark.folded
       and not exists (select
                         from pending_joins as waiting
                        where (waiting.organization, waiting.person) = (wanted.organization, wanted.person)
                          and waiting.recorded_at <= wanted.until) as folded
  from unnest($9::text[], $10::text[], $11::timestamptz[], $12::smallint[])
       with ordinality as wanted (organization, person, until, lane, place)
  join mark on mark.lane = wanted.lane
  left join bindings as binding
         on (binding.organization, binding.person) = (wanted.organization, wanted.person)
        and binding.since <= wanted.until
"""


class Found(NamedTuple, Generic[T]):
    """What a look-up found.

    Attributes:
        value: None: nothing.
        folded: everything that the watermark covers is known and settled here. If nothing was found, there was nothing
            when the watermark was begun.
    """

    value: T | None
    folded: bool


class CodeAsked(NamedTuple):
    """Who shared under `code`? Facts recorded after `until` do not count."""

    code: str
    until: datetime


class ReferrerAsked(NamedTuple):
    """Who referred `person`? Facts recorded after `until` do not count."""

    organization: str
    person: str
    until: datetime


class Shares:
    """Look-up of shares by their codes. Any partition may hold one.

    Args:
        mark: content's latest watermark; None covers nothing.
    """

    name = "shares"

    def __init__(self, mark: Watermark | None, partitions: int) -> None:
        self._folded = _folded(inbound.CONTENT, mark, partitions, inbound.OF_SHARES)

    async def load(self, connection: Any, keys: Collection[CodeAsked]) -> Mapping[CodeAsked, Found[Share]]:
        wanted = list(keys)
        rows = await connection.fetch(_SHARES, *self._folded, *_columns(wanted, CodeAsked))
        return {wanted[row["place"] - 1]: Found(_share(row), row["folded"]) for row in rows}


class Referrers:
    """Look-up of persons' bound referrers. A person's lane alone may hold the binding.

    Args:
        mark: membership's latest watermark; None covers nothing.
    """

    name = "referrers"

    def __init__(self, mark: Watermark | None, partitions: int) -> None:
        self._folded = _folded(inbound.MEMBERSHIP, mark, partitions, inbound.OF_BINDINGS)
        self._partitions = partitions

    async def load(self, connection: Any, keys: Collection[ReferrerAsked]) -> Mapping[ReferrerAsked, Found[str]]:
        wanted = list(keys)
        lanes = [partition_of(asked.person, self._partitions) for asked in wanted]
        rows = await connection.fetch(_BINDINGS, *self._folded, *_columns(wanted, ReferrerAsked), lanes)
        return {wanted[row["place"] - 1]: Found(row["referrer"], row["folded"]) for row in rows}


def _folded(topic: str, mark: Watermark | None, partitions: int, types: Collection[str]) -> tuple[Any, ...]:
    return folded_arguments(CONSUMER, topic, mark or _NOTHING, range(partitions), types)


def _columns(rows: Collection[NamedTuple], kind: type[Any]) -> list[list[Any]]:
    return [[getattr(row, name) for row in rows] for name in kind._fields]


def _share(row: Mapping[str, Any]) -> Share | None:
    if row["sharer"] is None:
        return None
    return Share(organization=row["organization"], sharer=row["sharer"], occurred_at=row["occurred_at"])
