"""Undo what a restore of another service's database has made void: mark it in the journal, take published commission back.

The tables still hold it until a rebuild, which passes marked rows over, takes their place.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from services.scoring.events import COMMISSION, CommissionBooked, CommissionVoided, stream_of
from services.scoring.projections import ScoringProjection
from shared.database import Pool
from shared.failpoints import failpoint
from shared.messaging.lane_publishing import Following
from shared.messaging.lanes import LOCK
from shared.messaging.log import Log, TopicPartition
from shared.messaging.voids import learn, void_facts
from shared.shadow import SCHEMA

_TO_MARK = """
select event_id::text from public.journal where lane = $1 and event_id = any ($2::uuid[]) and not void
"""

_BOOKED = """
select last.version, last.data::text, clock_timestamp() as now
  from public.commission_entries as entries
 cross join lateral (
        select version, type, data
          from events
         where stream_id = 'commission-' || entries.entry
         order by version desc
         limit 1
       ) as last
 where entries.event_id = any ($1::uuid[])
   and last.type = 'commission-booked.v1'
 order by entries.entry
"""


class Undoing(NamedTuple):
    """What was found and done.

    Attributes:
        topics: whose writers were restored, ever.
        rows: of the journal, marked now.
        bookings: of commission, taken back now.
    """

    topics: Sequence[str]
    rows: int
    bookings: int


async def undo(pool: Pool, log: Log, projection: ScoringProjection, lanes: Sequence[int]) -> Undoing:
    """Mark what is void, page by page. May be cut off anywhere and called again.

    Raises:
        LogUnavailable: a topic cannot be read.
        ValueError: a topic does not tell yet what is void.
    """
    topics = await learn(pool, log, projection.consumer, projection.topics, lanes)
    rows = bookings = 0
    for where in (TopicPartition(topic, lane) for topic in topics for lane in lanes):
        async for facts in void_facts(pool, log, where):
            ids = [fact.event_id for fact in facts if fact.type in projection.types]
            marked, taken_back = await _mark(pool, projection, where.partition, ids)
            rows, bookings = rows + marked, bookings + taken_back
    return Undoing(topics, rows, bookings)


async def _mark(pool: Pool, projection: ScoringProjection, lane: int, ids: Sequence[str]) -> tuple[int, int]:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(LOCK, projection.consumer, [lane])
        to_mark = [id for (id,) in await connection.fetch(_TO_MARK, lane, ids)]
        if not to_mark:
            return 0, 0
        voided = [_voided(*row) for row in await connection.fetch(_BOOKED, to_mark)]
        await projection.publish(connection, voided)
        await connection.execute("update journal set void = true where event_id = any ($1::uuid[])", to_mark)
        # An earlier rebuild may have folded these rows.
        await connection.execute(f"drop schema if exists {SCHEMA} cascade")
        await failpoint("rebuild.before-undo-commit")
    return len(to_mark), len(voided)


def _voided(version: int, data: str, now: Any) -> Following:
    booked = COMMISSION.decode("commission-booked.v1", data)
    assert isinstance(booked, CommissionBooked)
    voided = CommissionVoided(
        organization=booked.organization,
        community=booked.community,
        zone=booked.zone,
        currency=booked.currency,
        person=booked.person,
        entry=booked.entry,
        purchase=booked.purchase,
        order_id=booked.order_id,
        amount=booked.amount,
        cause=booked.cause,
        booked_occurred_at=booked.occurred_at,
        booked_local_day=booked.local_day,
        occurred_at=now,
    )
    return Following(stream_of(booked.entry), voided, None, version + 1)
