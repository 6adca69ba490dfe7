"""What an operator does with parked keys: look at them, and replay them after a fix."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from shared.database import ACQUIRE_SECONDS, Pool
from shared.failpoints import failpoint
from shared.messaging.facts import InboundFact, LaneFacts, Poison, Projection
from shared.messaging.lanes import LOCK, poison_reason, replace_stamps
from shared.position import Position

PAGE = 500
"""Facts that a replay applies in one transaction, at most: it must not hold its lane up for long."""

_LETTERS = """
select id, topic, lane, log_offset, key, type, event_id, epoch, transaction_id, sequence, traceparent, value
  from dead_letters
 where consumer = $1
   and lane = $2
   and key = $3
 order by id
 limit $4
"""

_NEXT_HEAD = """
update dead_letters
   set reason = 'queued behind a fact that is replayed now'
 where id = (select min(id) from dead_letters where consumer = $1 and lane = $2 and key = $3)
"""


class ParkedKey(NamedTuple):
    """A key whose facts wait.

    Attributes:
        reason: why the first of them could not be applied.
        type, event_id, position: of that first one.
        facts: how many wait.
        parked_at: since when.
        letter: number of the first one; lists go by it.
    """

    consumer: str
    lane: int
    key: str
    reason: str
    type: str
    event_id: str
    position: Position
    facts: int
    parked_at: datetime
    letter: int


class Replayed(NamedTuple):
    """What a replay did.

    Attributes:
        applied: facts applied and taken out of the queue.
        left: facts that still wait.
        reason: why the first of those could not be applied; None if none is left, or if there was no time for them.
    """

    applied: int
    left: int
    reason: str | None


async def parked_keys(pool: Pool, *, consumer: str | None = None, after: int = 0, limit: int = 100) -> list[ParkedKey]:
    """The parked keys of one or all consumers of this database, oldest first; only those after this letter."""
    rows = await pool.fetch(
        """
        select head.id, head.consumer, head.lane, head.key, head.reason, head.type, head.event_id,
               head.epoch, head.transaction_id, head.sequence, head.parked_at,
               (select count(*)
                  from dead_letters as queued
                 where queued.consumer = head.consumer
                   and queued.lane = head.lane
                   and queued.key = head.key) as facts
          from dead_letters as head
         where head.reason is not null
           and ($1::text is null or head.consumer = $1)
           and head.id > $2
         order by head.id
         limit $3
        """,
        consumer,
        after,
        limit,
    )
    return [
        ParkedKey(
            row["consumer"],
            row["lane"],
            row["key"],
            row["reason"],
            row["type"],
            row["event_id"],
            Position(row["epoch"], row["transaction_id"], row["sequence"]),
            row["facts"],
            row["parked_at"],
            row["id"],
        )
        for row in rows
    ]


async def replay(pool: Pool, projection: Projection, *, lane: int, key: str, seconds: float = float("inf")) -> Replayed:
    """Apply the queue of a parked key, in order, through the projection that could not. Stops at the first fact that
    fails again. Consumers may go on meanwhile, and the command may be repeated: every page commits or changes nothing.

    Args:
        seconds: no page is begun later than this.

    Raises:
        asyncpg.PostgresError, OSError, TimeoutError: a trouble that passes; what was applied stays applied.
    """
    applied, page = 0, PAGE
    deadline = time.monotonic() + seconds
    while True:
        if time.monotonic() > deadline:
            return Replayed(applied, await _waiting(pool, projection.consumer, lane, key), None)
        try:
            done = await _replay_page(pool, projection, lane, key, page)
        except (Poison, asyncpg.PostgresError) as error:
            reason = poison_reason(error)
            if reason is None:
                raise
            if page == 1:
                left = await _keep_parked(pool, projection.consumer, lane, key, reason)
                return Replayed(applied, left, reason)
            # Halve until the page holds only the fact that fails.
            page //= 2
            continue
        if done == 0:
            return Replayed(applied, 0, None)
        applied += done


async def _replay_page(pool: Pool, projection: Projection, lane: int, key: str, page: int) -> int:
    consumer = projection.consumer
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        async with connection.transaction():
            await connection.execute(LOCK, consumer, [lane])
            rows = await connection.fetch(_LETTERS, consumer, lane, key, page)
            if not rows:
                return 0
            await projection.apply(connection, [LaneFacts(lane, [_fact(row) for row in rows])])
            await connection.execute("delete from dead_letters where id = any($1)", _ids(rows))
            await connection.execute(_NEXT_HEAD, consumer, lane, key)
            await replace_stamps(connection, consumer, [lane])
            await failpoint("deadletters.before-replay-commit")
        await failpoint("deadletters.after-replay-commit")
    return len(rows)


async def _keep_parked(pool: Pool, consumer: str, lane: int, key: str, reason: str) -> int:
    """Note why the first fact of the queue failed again; return how many wait."""
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection, connection.transaction():
        await connection.execute(LOCK, consumer, [lane])
        await connection.execute(
            """
            update dead_letters
               set reason = $4
             where consumer = $1
               and lane = $2
               and key = $3
               and reason is not null
            """,
            consumer,
            lane,
            key,
            reason,
        )
        return await _waiting(connection, consumer, lane, key)


async def _waiting(connection: Any, consumer: str, lane: int, key: str) -> int:
    """How many facts of the key wait."""
    left: int = await connection.fetchval(
        "select count(*) from dead_letters where consumer = $1 and lane = $2 and key = $3", consumer, lane, key
    )
    return left


def _fact(row: Any) -> InboundFact:
    return InboundFact(
        topic=row["topic"],
        partition=row["lane"],
        offset=row["log_offset"],
        key=row["key"],
        type=row["type"],
        event_id=row["event_id"],
        position=str(Position(row["epoch"], row["transaction_id"], row["sequence"])),
        traceparent=row["traceparent"],
        value=row["value"],
    )


def _ids(rows: Sequence[Any]) -> list[int]:
    return [row["id"] for row in rows]
