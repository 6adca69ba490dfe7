"""How fast the log becomes journal, entries, counts, standings and boards, against a loop that keeps sums only."""

import asyncio
import gc
import statistics
import time
from collections.abc import Sequence
from typing import Any

import asyncpg

from deploy.local.postgres import SUPERUSER, EmbeddedPostgres
from services.scoring.projections import ScoringProjection
from shared.database import open_writer
from shared.lifecycle import spare_collector
from shared.messaging.consumer import Consumer
from shared.messaging.facts import LaneFacts
from shared.messaging.kafka import KafkaLog
from shared.messaging.log import Log
from shared.migrate import KERNEL, migrate
from tests.bench import loop, servers
from tests.bench.rows import Options, Outcome, Row, say
from tests.bench.topics import PARTITIONS, Crowd, fill, joins, posts

POSTS = 300_000
PERSONS = 50_000
COMMUNITIES = 20
REACH = 0.5
SCORING = KERNEL.parents[1] / "services" / "scoring" / "migrations"
READ = ("membership.events", "content.events")


class _Watched(ScoringProjection):
    """Listens to some of the topics, and counts the facts it has folded, committed or not."""

    def __init__(self, topics: Sequence[str]) -> None:
        super().__init__()
        self.topics = topics
        self.folded = 0

    async def apply(self, connection: Any, lanes: Sequence[LaneFacts]) -> None:
        await super().apply(connection, lanes)
        self.folded += sum(len(lane.facts) for lane in lanes)


class _Timed:
    """The log, or a subscription to it, that notes when the first records came."""

    def __init__(self, inner: Any, first: list[float]) -> None:
        self._inner = inner
        self._first = first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def subscribe(self, topics: Sequence[str], **options: Any) -> Any:
        return _Timed(await self._inner.subscribe(topics, **options), self._first)

    async def fetch(self, **limits: Any) -> Any:
        fetched = await self._inner.fetch(**limits)
        if fetched and not self._first:
            self._first.append(time.perf_counter())
        return fetched


async def measure(options: Options) -> Outcome:
    spare_collector()  # as every role does at its start; the loop gains by it too
    count, crowd = options.size(POSTS), Crowd.of(options.size(PERSONS), COMMUNITIES)
    with servers.folder() as path, servers.postgres(path) as postgres, servers.kafka(path) as kafka:
        log = await KafkaLog.open(kafka.bootstrap_servers)
        try:
            say(f"writing {len(crowd.persons)} joins and {count} posts to Kafka")
            await fill(log, READ[0], joins(crowd))
            await fill(log, READ[1], posts(crowd, count))
            joined = await _joined(postgres, log, len(crowd.persons))
            await _empty(postgres)
            loops, projections = [], []
            for number in range(options.repeats):
                seconds = await _loop(postgres, f"loop_{number}", kafka.bootstrap_servers, count)
                loops.append(count / seconds)
                seconds = await _projection(postgres, f"scoring_{number}", joined, log, count)
                projections.append(count / seconds)
                say(f"loop {loops[-1]:,.0f}/s, projection {projections[-1]:,.0f}/s")
        finally:
            await log.close()
    ratio = statistics.median(projections) / statistics.median(loops)
    figures = f"{statistics.median(projections):,.0f} posts/s against {statistics.median(loops):,.0f}"
    return Outcome(f"{ratio:.2f}", ratio >= REACH, [figures])


ROW = Row(
    "projection",
    f"{POSTS:,} posts on Kafka to journal, activity, points; share of a plain loop's rate",
    f"≥ {REACH}",
    measure,
)


async def _joined(postgres: EmbeddedPostgres, log: Log, count: int) -> str:
    """A database in which the joins are folded, to be copied."""
    await postgres.ensure_database("joined")
    await migrate(postgres.dsn("joined"), KERNEL, SCORING)
    seconds = await _consume(postgres.dsn("joined"), log, READ[:1], "journal", count)
    say(f"joins folded at {count / seconds:,.0f}/s")
    return "joined"


async def _empty(postgres: EmbeddedPostgres) -> None:
    await postgres.ensure_database("empty")
    connection = await asyncpg.connect(postgres.dsn("empty"))
    await connection.execute(loop.TABLES)
    await connection.close()


async def _loop(postgres: EmbeddedPostgres, name: str, bootstrap_servers: str, count: int) -> float:
    await _prepare(postgres, name, "empty")
    try:
        seconds = await loop.run(bootstrap_servers, postgres.dsn(name), READ[1], partitions=PARTITIONS, total=count)
        assert await _sum(postgres.dsn(name), "select sum(n) from counts") == count
        return seconds
    finally:
        await postgres.drop_database(name)


async def _projection(postgres: EmbeddedPostgres, name: str, template: str, log: Log, count: int) -> float:
    await _prepare(postgres, name, template)
    try:
        seconds = await _consume(postgres.dsn(name), log, READ, "journal where kind = 5", count)
        assert await _sum(postgres.dsn(name), "select sum(n) from day_counts where act = 1") == count
        assert await _sum(postgres.dsn(name), "select count(*) from point_entries where act = 1") == count
        return seconds
    finally:
        await postgres.drop_database(name)


async def _prepare(postgres: EmbeddedPostgres, name: str, template: str) -> None:
    await postgres.ensure_database(name, template=template)
    connection = await asyncpg.connect(postgres.dsn("postgres", SUPERUSER))
    await connection.execute("checkpoint")
    await connection.close()
    gc.collect()


async def _consume(dsn: str, log: Log, topics: Sequence[str], rows: str, total: int) -> float:
    """Run the real consumer; the seconds from the first records fetched to the commit of the last."""
    pool = await open_writer(dsn, name="bench", size=4)
    read = "select coalesce(sum(next_offset), 0) from lane_topics"
    through = await pool.fetchval(read) + total
    first: list[float] = []
    moved, stop = asyncio.Event(), asyncio.Event()
    projection = _Watched(topics)
    timed: Any = _Timed(log, first)
    consumer = Consumer(projection, pool, timed, service="scoring", partitions=PARTITIONS, advanced=moved.set)
    running = asyncio.create_task(consumer.run(stop))
    try:
        async with asyncio.timeout(300):
            while projection.folded < total or await pool.fetchval(read) < through:
                await moved.wait()
                moved.clear()
        seconds = time.perf_counter() - first[0]
        assert await pool.fetchval(read) == through
        assert await pool.fetchval(f"select count(*) from {rows}") == total
        return seconds
    finally:
        stop.set()
        await running
        await pool.close()


async def _sum(dsn: str, query: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval(query))
    finally:
        await connection.close()
