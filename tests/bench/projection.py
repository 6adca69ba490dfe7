"""How fast the log becomes journal, entries, counts, standings and boards, against a loop that keeps sums only."""

import statistics
from collections.abc import Sequence

import asyncpg

from deploy.local.postgres import SUPERUSER, EmbeddedPostgres
from services.scoring.definition import SCORING
from shared.messaging.kafka import KafkaLog
from shared.migrate import migrate
from tests.bench import loop, servers
from tests.bench.processes import run_measured
from tests.bench.rows import Options, Outcome, Row, say
from tests.bench.topics import Crowd, fill, joins, posts

POSTS = 300_000
PERSONS = 50_000
COMMUNITIES = 20
REACH = 0.5
READ = ("membership.events", "content.events")


async def measure(options: Options) -> Outcome:
    count, crowd = options.size(POSTS), Crowd.of(options.size(PERSONS), COMMUNITIES)
    with servers.folder() as path, servers.postgres(path) as postgres, servers.kafka(path) as kafka:
        say(f"writing {len(crowd.persons)} joins and {count} posts to Kafka")
        log = await KafkaLog.open(kafka.bootstrap_servers)
        try:
            await fill(log, READ[0], joins(crowd))
            await fill(log, READ[1], posts(crowd, count))
        finally:
            await log.close()
        row = _Sides(postgres, kafka.bootstrap_servers, count)
        await row.prepare(len(crowd.persons))
        loops, projections = [], []
        for number in range(options.repeats):
            loops.append(await row.loop(f"loop_{number}"))
            projections.append(await row.projection(f"scoring_{number}"))
            say(f"loop {loops[-1]:,.0f}/s, projection {projections[-1]:,.0f}/s")
    ratio = statistics.median(projections) / statistics.median(loops)
    figures = f"{statistics.median(projections):,.0f} posts/s against {statistics.median(loops):,.0f}"
    return Outcome(f"{ratio:.2f}", ratio >= REACH, [figures])


ROW = Row(
    "projection",
    f"{POSTS:,} posts on Kafka to journal, activity, points; share of a plain loop's rate",
    f"≥ {REACH}",
    measure,
)


class _Sides:
    """Runs either side on a fresh copy of its tables, and checks what it wrote."""

    def __init__(self, postgres: EmbeddedPostgres, bootstrap_servers: str, count: int) -> None:
        self._postgres = postgres
        self._bootstrap_servers = bootstrap_servers
        self._count = count

    async def prepare(self, joined: int) -> None:
        """Make the databases to be copied: one with the loop's tables, one in which the joins are folded."""
        await self._postgres.ensure_database("empty")
        connection = await asyncpg.connect(self._postgres.dsn("empty"))
        await connection.execute(loop.TABLES)
        await connection.close()
        await self._postgres.ensure_database("joined")
        await migrate(self._postgres.dsn("joined"), *SCORING.migrations)
        seconds = await self._run("scoring", "joined", READ[:1], joined)
        assert await self._number("joined", "select count(*) from journal") == joined
        say(f"joins folded at {joined / seconds:,.0f}/s")

    async def loop(self, name: str) -> float:
        """Posts a second."""
        await self._copy("empty", name)
        seconds = await self._run("loop", name, READ[1:], self._count)
        assert await self._number(name, "select sum(n) from counts") == self._count
        await self._postgres.drop_database(name)
        return self._count / seconds

    async def projection(self, name: str) -> float:
        """Posts a second."""
        await self._copy("joined", name)
        seconds = await self._run("scoring", name, READ, self._count)
        for query in (
            "select count(*) from journal where kind = 5",
            "select count(*) from point_entries where act = 1",
            "select sum(n) from day_counts where act = 1",
        ):
            assert await self._number(name, query) == self._count
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
