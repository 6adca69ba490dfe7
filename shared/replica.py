"""Rebuild a service's replica of other services' facts from their topics, by the code that folds for the lanes.

The rebuild is a consumer of its own, with lanes, places and parked keys of its own; only its tables are those of a shadow.
So its pages are exactly as safe as those of the live lanes, whoever kills it and whoever works beside it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from shared.comparison import Compared, Outcome, compare
from shared.database import Pool
from shared.failpoints import failpoint
from shared.messaging.cloudevents import read_envelopes
from shared.messaging.facts import LaneFacts, Projection
from shared.messaging.lanes import LOCK, Chunk, Lanes, replace_stamps
from shared.messaging.log import Log, TopicPartition
from shared.messaging.voids import learn, leave
from shared.rebuilding import Progress, Say, insist, shared_out
from shared.shadow import SCHEMA, create_like, hold_lanes, lock_tables, replace_tables

PAGE_RECORDS = 2000
"""Records that are folded in one transaction."""

FOLD_SECONDS = 60.0

Tables = Mapping[str, str]
"""The tables of a replica: name to primary key, comma-separated."""

_PLACES = """
insert into lane_topics (consumer, lane, topic, next_offset, epoch, transaction_id, sequence)
select $1, lane, topic, 0, 0, 0, 0
  from unnest($2::smallint[]) as lane, unnest($3::text[]) as topic
"""

# What the live lane has read and the rebuild has not. Offsets begin anew in a topic that was lost and published again;
# positions tell then. A live lane that stands at a void fact has gone further than anybody should.
_BEHIND = """
select mine.topic, mine.lane, mine.next_offset, live.next_offset as until
  from lane_topics as mine
  join lane_topics as live using (lane, topic)
 where mine.consumer = $1
   and live.consumer = $2
   and lane = any ($3::smallint[])
   and (mine.next_offset < live.next_offset
        or (mine.epoch, mine.transaction_id, mine.sequence) < (live.epoch, live.transaction_id, live.sequence)
           and not is_void(topic, lane, live.epoch, live.transaction_id, live.sequence))
 order by lane, topic
"""

_FAR = """
select coalesce(sum(mine.next_offset), 0)::bigint, coalesce(sum(live.next_offset), 0)::bigint
  from lane_topics as mine
  join lane_topics as live using (lane, topic)
 where mine.consumer = $1
   and live.consumer = $2
"""

_KEPT = ("dead_letters", "lane_topics")
"""What a lane has beside its stamp."""


class _Behind(NamedTuple):
    where: TopicPartition
    next_offset: int
    until: int


class Shadowed:
    """A projection as another consumer, which must find the shadow's tables.

    Args:
        table: one of these tables.
    """

    def __init__(self, projection: Projection, table: str) -> None:
        self.consumer = f"{projection.consumer} {SCHEMA}"
        self.topics = projection.topics
        self.types = projection.types
        self._projection = projection
        self._table = table

    async def apply(self, connection: Any, lanes: Sequence[LaneFacts]) -> None:
        """See `shared.messaging.facts.Projection.apply`.

        Raises:
            ValueError: there is no shadow any more. Without this, the live tables would be found.
        """
        if not await connection.fetchval("select to_regclass($1) is not null", f"{SCHEMA}.{self._table}"):
            raise ValueError("another rebuild has ended this one")
        await self._projection.apply(connection, lanes)


class ReplicaRebuild:
    """One rebuild (`shared.rebuilding.Steps`).

    Args:
        pool: of `open_shadow`, with three connections more than workers.
        tables: all that the projection writes.
        lanes: all that there are.
        workers: lanes that are folded at a time.
        page_records: records that are folded in one transaction.
    """

    def __init__(
        self,
        pool: Pool,
        log: Log,
        projection: Projection,
        tables: Tables,
        lanes: Sequence[int],
        *,
        workers: int = 2,
        page_records: int = PAGE_RECORDS,
        say: Say = print,
    ) -> None:
        self.say = say
        self._pool = pool
        self._log = log
        self._live = projection.consumer
        self._topics = projection.topics
        self._tables = tables
        self._numbers = lanes
        self._workers = workers
        self._page_records = page_records
        shadowed = Shadowed(projection, next(iter(tables)))
        self._consumer = shadowed.consumer
        self._lanes = Lanes(shadowed, pool, timeout_seconds=FOLD_SECONDS)

    async def prepare(self, *, fresh: bool = False) -> None:
        """Find out what restores have undone, and make the shadow, or find it."""
        if await learn(self._pool, self._log, self._live, self._topics, self._numbers):
            self.say("what restores have undone is passed over")
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(LOCK, self._consumer, self._numbers)
            if not (fresh or await self._is_spoilt(connection)) and await connection.fetchval(
                "select to_regclass($1) is not null", f"{SCHEMA}.{next(iter(self._tables))}"
            ):
                self.say("going on with an earlier rebuild")
            else:
                await self._begin(connection)
            await leave(connection, self._consumer, self._topics)

    async def catch_up(self) -> None:
        """Fold what the live lanes have read. They go on meanwhile, so a little is left."""
        folded, total = await self._pool.fetchrow(_FAR, self._consumer, self._live)
        progress = Progress(folded, total, "records", self.say)
        await self._fold(progress)
        progress.end()
        async with self._pool.acquire() as connection:
            for table in self._tables:
                await connection.execute(f"analyze {SCHEMA}.{table}")

    async def compare(self) -> list[Outcome]:
        return await insist(self._compare, self)

    async def swap(self) -> None:
        await insist(self._swap, self)

    async def _is_spoilt(self, connection: Any) -> bool:
        """Whether an earlier rebuild has folded what was undone since."""
        spoilt: bool = await connection.fetchval(
            """
            select exists (select from lane_topics
                            where consumer = $1 and is_void(topic, lane, epoch, transaction_id, sequence))
            """,
            self._consumer,
        )
        return spoilt

    async def _begin(self, connection: Any) -> None:
        await connection.execute(f"drop schema if exists {SCHEMA} cascade")
        await connection.execute(f"create schema {SCHEMA}")
        for table in self._tables:
            await create_like(connection, table)
        await self._forget_lanes(connection, self._consumer)
        await connection.execute(_PLACES, self._consumer, self._numbers, self._topics)

    async def _forget_lanes(self, connection: Any, consumer: str) -> None:
        for table in (*_KEPT, "lanes", "accepted_epochs"):
            await connection.execute(f"delete from {table} where consumer = $1", consumer)

    async def _fold(self, progress: Progress) -> None:
        """Fold what every live lane has read now."""

        async def fold(lane: int) -> None:
            while behind := await self._behind(lane):
                chunks = [await self._page(each) for each in behind]
                folded = await self._lanes.fold(chunks)
                if folded.halts:
                    raise ValueError(next(iter(folded.halts.values())).reason)
                progress.add(sum(folded.next_offsets[each.where] - each.next_offset for each in behind))

        await shared_out(self._numbers, fold, workers=self._workers)

    async def _behind(self, lane: int) -> list[_Behind]:
        rows = await self._pool.fetch(_BEHIND, self._consumer, self._live, [lane])
        return [_Behind(TopicPartition(row["topic"], lane), row["next_offset"], row["until"]) for row in rows]

    async def _page(self, behind: _Behind) -> Chunk:
        """The next records, not beyond where the live lane is.

        Raises:
            ValueError: the topic ends before.
        """
        where, offset, until = behind
        records = await self._log.read(where, offset=offset, max_records=self._page_records)
        if offset < until:
            records = [record for record in records if record.offset < until]
        if not records:
            raise ValueError(
                f"{where.topic}, partition {where.partition} does not hold all that was folded of it. If it was lost, "
                "publish it anew."
            )
        return where, read_envelopes(records)

    async def _compare(self) -> list[Outcome]:
        async with (
            self._pool.acquire() as reader,
            reader.transaction(isolation="repeatable_read", readonly=True),
        ):
            async with self._pool.acquire() as holder, holder.transaction():
                await hold_lanes(holder, self._live, self._numbers)
                await self._fold_rest()
                await reader.execute("select from lanes")  # its first statement fixes what it sees
            return await compare(reader, {table: Compared(key) for table, key in self._tables.items()})

    async def _fold_rest(self) -> None:
        await self._fold(Progress(0, 0, "records", self.say))

    async def _swap(self) -> None:
        """Replace tables, places and parked keys at once. The lanes go on from where they are."""
        async with self._pool.acquire() as connection, connection.transaction():
            await hold_lanes(connection, self._live, self._numbers)
            await self._fold_rest()
            await connection.execute(LOCK, self._consumer, self._numbers)
            await lock_tables(connection, list(self._tables))
            await replace_tables(connection, list(self._tables))
            for table in _KEPT:
                await connection.execute(f"delete from {table} where consumer = $1", self._live)
                await connection.execute(
                    f"update {table} set consumer = $1 where consumer = $2", self._live, self._consumer
                )
            await self._forget_lanes(connection, self._consumer)
            await leave(connection, self._live, self._topics)
            await replace_stamps(connection, self._live, self._numbers)
            await failpoint("rebuild.before-swap-commit")
