"""How many posts a second one API process stores, against a FastAPI echo that stores nothing."""

import json
import statistics
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
from uuid_utils import uuid7

from services.content.definition import CONTENT
from shared.migrate import migrate
from tests.bench import servers
from tests.bench.processes import run_measured
from tests.bench.rows import Options, Outcome, Row, say
from tests.support.roles import Authority, Services

CONNECTIONS = 64
SECONDS = 5.0
WARM_SECONDS = 1.0
REACH = 0.5
ORGANIZATION = "acme"
POST = {"kind": "text", "title": "Six o'clock", "body": "Who runs tomorrow at six? " * 8, "topics": ["running"]}


async def measure(options: Options) -> Outcome:
    with servers.folder() as path, servers.postgres(path) as postgres, Authority(path) as authority:
        await postgres.ensure_database("content")
        dsn = postgres.dsn("content")
        await migrate(dsn, *CONTENT.migrations)
        community = str(uuid7())
        await add_members(dsn, community, [f"person-{number}" for number in range(CONNECTIONS)])
        connections = [
            {
                "path": f"/v1/communities/{community}/posts",
                "token": authority.token(f"person-{number}", organization=ORGANIZATION),
                "body": json.dumps(POST),
            }
            for number in range(CONNECTIONS)
        ]
        stored: list[dict[str, Any]] = []
        echoed: list[dict[str, Any]] = []
        with Services(authority, path, QUNLI_LOG="kafka") as services:
            content = services.start("content", "api", dsn)
            echo = services.start_other("tests.bench.echo")
            for _ in range(options.repeats):
                for url, seen in ((echo, echoed), (content, stored)):
                    seen.append(await load(url, connections, options))
                say(f"echo {echoed[-1]['a_second']:,.0f}/s, posts {stored[-1]['a_second']:,.0f}/s")
        connection = await asyncpg.connect(dsn)
        kept = await connection.fetchval("select count(*) from posts")
        await connection.close()
        answered = sum(each["statuses"]["201"] for each in stored)
        assert kept == answered, f"{answered} posts were answered, {kept} are stored"
    return compared(stored, echoed, "posts", "echoes", REACH)


def compared(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], what: str, base: str, reach: float) -> Outcome:
    rates = [statistics.median(each["a_second"] for each in side) for side in (ours, theirs)]
    p50, p99 = (1000 * statistics.median(each[name] for each in ours) for name in ("p50", "p99"))
    ratio = rates[0] / rates[1]
    figures = f"{rates[0]:,.0f} {what}/s (p50 {p50:.1f} ms, p99 {p99:.1f} ms) against {rates[1]:,.0f} {base}/s"
    return Outcome(f"{ratio:.2f}", ratio >= reach, [figures])


async def load(url: str, connections: list[dict[str, Any]], options: Options) -> dict[str, Any]:
    """One repeat; every answer must be 201."""
    seconds = max(0.5, SECONDS * options.scale)
    address = urlsplit(url)
    spec = {
        "port": address.port,
        "seconds": seconds,
        "warm_seconds": WARM_SECONDS,
        "connections": [{**one, "path": address.path + one["path"]} for one in connections],
    }
    seen: dict[str, Any] = await run_measured("tests.bench.client", spec)
    assert seen["statuses"].keys() == {"201"}, seen["statuses"]
    return seen


async def add_members(dsn: str, community: str, persons: list[str]) -> None:
    """Put a launched community and its members into content's replica, as if it had heard of them."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            """
            insert into communities (community, organization, status, zone, currency)
            values ($1, $2, 2, 'Asia/Shanghai', 'CNY')
            """,
            UUID(community),
            ORGANIZATION,
        )
        await connection.executemany(
            "insert into members (community, person, active, roles) values ($1, $2, true, '{member}')",
            [(UUID(community), person) for person in persons],
        )
    finally:
        await connection.close()


ROW = Row(
    "commands",
    f"POST a post over HTTP, durable, one API process, {CONNECTIONS} connections; share of a FastAPI echo's rate",
    f"≥ {REACH}",
    measure,
)
