"""What one hot community costs: everybody joins one with a capacity, against everybody joins another one."""

import json
from typing import Any

import httpx

from services.membership.definition import MEMBERSHIP
from shared.migrate import migrate
from tests.bench import servers
from tests.bench.commands import CONNECTIONS, ORGANIZATION, compared, load
from tests.bench.rows import Options, Outcome, Row, say
from tests.support.roles import Authority, Services

REACH = 0.8
CAPACITY = 1_000_000
COMMUNITY = {
    "name": "Early risers",
    "affinity": "We run before work.",
    "zone": "Asia/Shanghai",
    "currency": "CNY",
    "capacity": CAPACITY,
}


async def measure(options: Options) -> Outcome:
    with servers.folder() as path, servers.postgres(path) as postgres, Authority(path) as authority:
        await postgres.ensure_database("membership")
        dsn = postgres.dsn("membership")
        await migrate(dsn, *MEMBERSHIP.migrations)
        hot: list[dict[str, Any]] = []
        spread: list[dict[str, Any]] = []
        with Services(authority, path, QUNLI_LOG="kafka") as services:
            url = services.start("membership", "api", dsn)
            owner = authority.token("owner", organization=ORGANIZATION)
            machine = authority.token("importer", organization=ORGANIZATION, scope="import")
            for repeat in range(options.repeats):
                communities = [_found(url, owner, f"{repeat}-{number}") for number in range(CONNECTIONS + 1)]
                for homes, seen in ((communities[1:], spread), (communities[:1] * CONNECTIONS, hot)):
                    connections = [
                        {
                            "path": f"/v1/communities/{home}/members",
                            "token": machine,
                            "body": json.dumps({}),
                            "acting": True,
                        }
                        for home in homes
                    ]
                    seen.append(await load(url, connections, options))
                say(f"spread {spread[-1]['a_second']:,.0f}/s, hot {hot[-1]['a_second']:,.0f}/s")
    return compared(hot, spread, "joins of one community", f"joins of {CONNECTIONS}", REACH)


def _found(url: str, token: str, name: str) -> str:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"found-{name}"}
    with httpx.Client(base_url=url, headers=headers, timeout=10) as client:
        founded = client.post("/v1/communities", json=COMMUNITY).raise_for_status().json()
        community = str(founded["id"])
        client.post(
            f"/v1/communities/{community}/launch", headers={"Idempotency-Key": f"launch-{name}"}
        ).raise_for_status()
    return community


ROW = Row(
    "hot_stream",
    f"{CONNECTIONS} connections join one community with a capacity; share of the rate into {CONNECTIONS} communities",
    f"≥ {REACH}",
    measure,
)
