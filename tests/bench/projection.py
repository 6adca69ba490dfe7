"""How fast the log becomes journal, entries, counts, standings and boards, against a loop that keeps sums only: posts
alone in this row, everything that scores in the row `mixed`."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import asyncpg

from deploy.local.postgres import SUPERUSER, EmbeddedPostgres
from services.scoring.definition import SCORING
from shared.messaging.kafka import KafkaLog
from shared.messaging.log import Outgoing, TopicPartition
from shared.migrate import migrate
from tests.bench import loop, servers
from tests.bench.processes import run_measured
from tests.bench.rows import Options, Outcome, Row, say
from tests.bench.topics import Crowd, fill, joins, mixed, posts
from tests.support.databases import let_copies_take_facts

FACTS = 300_000
PERSONS = 50_000
COMMUNITIES = 20
REACH = 0.5
JOINS = "membership.events"
CONTENT = "content.events"
CAMPAIGNS = "campaigns.events"


class Workload(NamedTuple):
    """What is on the topics.

    Attributes:
        topics: besides the joins.
        records: makes so many for a crowd.
        whole: queries on the loop's and on scoring's database that must give the number of facts.
    """

    topics: Sequence[str]
    records: Callable[[Crowd, int], Iterable[tuple[TopicPartition, Outgoing]]]
    whole: Sequence[tuple[str, str]]


POSTS = Workload(
    (CONTENT,),
    posts,
    (
        ("loop", "select sum(n) from counts"),
        ("scoring", "select count(*) from journal where kind = 5"),
        ("scoring", "select count(*) from point_entries where act = 1"),
        ("scoring", "select sum(n) from day_counts where act = 1"),
    ),
)
MIXED = Workload(
    (CONTENT, CAMPAIGNS),
    mixed,
    (
        ("loop", "select sum(n) * 20 / 19 from counts"),  # every twentieth is an attribution
        ("scoring", "select count(*) from journal where kind <> 3"),
    ),
)


async def measure_of(workload: Workload, options: Options) -> Outcome:
    count, crowd = options.size(FACTS), Crowd.of(options.size(PERSONS), COMMUNITIES)
    with servers.folder() as path, servers.postgres(path) as postgres, servers.kafka(path) as kafka:
        say(f"writing {len(crowd.persons)} joins and {count} facts to Kafka")
        log = await KafkaLog.open(kafka.bootstrap_servers)
        try:
            await fill(log, [JOINS], joins(crowd))
            await fill(log, workload.topics, workload.records(crowd, count))
        finally:
            await log.close()
        row = _Sides(postgres, kafka.bootstrap_servers, workload, count)
        await row.prepare(len(crowd.persons))
        loops, projections = [], []
        for number in range(options.repeats):
            loops.append(await row.loop(f"loop_{number}"))
            projections.append(await row.projection(f"scoring_{number}"))
            say(f"loop {loops[-1]:,.0f}/s, projection {projections[-1]:,.0f}/s")
    ratio = statistics.median(projections) / statistics.median(loops)
    figures = f"{statistics.median(projections):,.0f} facts/s against {statistics.median(loops):,.0f}"
    return Outcome(f"{ratio:.2f}", ratio >= REACH, [figures])


async def measure(options: Options) -> Outcome:
    return await measure_of(POSTS, options)


ROW = Row(
    "projection",
    f"{FACTS:,} posts on Kafka to journal, activity, points; share of a plain loop's rate",
    f"≥ {REACH}",
    measure,
)


class _Sides:
    """Runs either side on a fresh copy of its tables, and checks what it wrote."""

    def __init__(self, postgres: EmbeddedPostgres, bootstrap_servers: str, workload: Workload, count: int) -> None:
        self._postgres = postgres
        self._bootstrap_servers = bootstrap_servers
        self._workload = workload
        self._count = count

    async def prepare(self, joined: int) -> None:
        """Make the databases to be copied: one with the loop's tables, one in which the joins are folded."""
        await self._postgres.ensure_database("empty")
        connection = await asyncpg.connect(self._postgres.dsn("empty"))
        await connection.execute(loop.TABLES)
        await connection.close()
        await self._postgres.ensure_database("joined")
        await migrate(self._postgres.dsn("joined"), *SCORING.migrations)
        await let_copies_take_facts(self._postgres.dsn("joined"))
        seconds = await self._run("scoring", "joined", [JOINS], joined)
        assert await self._number("joined", "select count(*) from journal") == joined
        say(f"joins folded at {joined / seconds:,.0f}/s")

    async def loop(self, name: str) -> float:
        """Facts a second."""
        return await self._side("loop", name, "empty", self._workload.topics)

    async def projection(self, name: str) -> float:
        """Facts a second."""
        return await self._side("scoring", name, "joined", (JOINS, *self._workload.topics))

    async def _side(self, side: str, name: str, template: str, topics: Sequence[str]) -> float:
        await self._copy(template, name)
        seconds = await self._run(side, name, topics, self._count)
        for whose, query in self._workload.whole:
            if whose == side:
                assert await self._number(name, query) == self._count, query
        await self._postgres.drop_database(name)
        return self._count / seconds

    async def _run(self, side: str, name: str, topics: Sequence[str], total: int) -> float:
        spec = {
            "side": side,
            "bootstrap_servers": self._bootstrap_servers,
            "dsn": self._postgres.dsn(name),
            "topics": topics,
            "total": total,
        }
        return float(await run_measured("tests.bench.consuming", spec))

    async def _copy(self, template: str, name: str) -> None:
        await self._postgres.ensure_database(name, template=template)
        connection = await asyncpg.connect(self._postgres.dsn("postgres", SUPERUSER))
        await connection.execute("checkpoint")
        await connection.close()

    async def _number(self, name: str, query: str) -> int:
        connection = await asyncpg.connect(self._postgres.dsn(name))
        try:
            return int(await connection.fetchval(query))
        finally:
            await connection.close()
