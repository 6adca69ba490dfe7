"""What one hot post costs: everybody comments on one, against everybody comments on another one."""

import json
import uuid
from typing import Any

import asyncpg
import httpx
from uuid_utils import uuid7

from services.content.definition import CONTENT
from shared.migrate import migrate
from tests.bench import servers
from tests.bench.commands import CONNECTIONS, ORGANIZATION, POST, add_members, compared, load
from tests.bench.rows import Options, Outcome, Row, say
from tests.support.roles import Authority, Services

REACH = 0.8
COMMENT = {"body": "Count me in. " * 10}


async def measure(options: Options) -> Outcome:
    persons = [f"person-{number}" for number in range(CONNECTIONS)]
    with servers.folder() as path, servers.postgres(path) as postgres, Authority(path) as authority:
        await postgres.ensure_database("content")
        dsn = postgres.dsn("content")
        await migrate(dsn, *CONTENT.migrations)
        community = str(uuid7())
        await add_members(dsn, community, persons)
        tokens = {person: authority.token(person, organization=ORGANIZATION) for person in persons}
        hot: list[dict[str, Any]] = []
        spread: list[dict[str, Any]] = []
        with Services(authority, path, QUNLI_LOG="kafka") as services:
            url = services.start("content", "api", dsn)
            for _ in range(options.repeats):
                posts = [_publish(url, community, token) for token in tokens.values()]
                for targets, seen in ((posts, spread), (posts[:1] * CONNECTIONS, hot)):
                    connections = [
                        {"path": f"/v1/posts/{post}/comments", "token": token, "body": json.dumps(COMMENT)}
                        for post, token in zip(targets, tokens.values(), strict=True)
                    ]
                    seen.append(await load(url, connections, options))
                say(f"spread {spread[-1]['a_second']:,.0f}/s, hot {hot[-1]['a_second']:,.0f}/s")
        await _check_floors(dsn)
    return compared(hot, spread, "comments on one post", f"comments on {CONNECTIONS}", REACH)


def _publish(url: str, community: str, token: str) -> str:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid.uuid4())}
    path = f"{url}/v1/communities/{community}/posts"
    return str(httpx.post(path, headers=headers, json=POST, timeout=10).raise_for_status().json()["id"])


async def _check_floors(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        gaps = await connection.fetch(
            "select post from comments group by post having min(floor) <> 1 or max(floor) <> count(*)"
        )
        assert not gaps, "floors with gaps"
    finally:
        await connection.close()


ROW = Row(
    "hot_comments",
    f"{CONNECTIONS} connections comment on one post; share of the rate on {CONNECTIONS} posts",
    f"≥ {REACH}",
    measure,
)
