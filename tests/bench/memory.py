"""What the whole embedded system holds in memory when it has nothing to do."""

import asyncio
import re
from collections import Counter
from pathlib import Path

import httpx
import psutil

from tests.bench.rows import Options, Outcome, Row, say
from tests.support.system import System, running_system

REACH_MB = 350
IDLE_SECONDS = 15.0
PEOPLE = 30
ORGANIZATION = "acme"


async def measure(options: Options) -> Outcome:
    with running_system() as system:
        fresh = _megabytes(system)
        await _use(system.url)
        await asyncio.sleep(max(3.0, IDLE_SECONDS * options.scale))
        held = _megabytes(system)
    total = sum(held.values())
    parts = ", ".join(f"{name} {size:.0f}" for name, size in held.most_common())
    return Outcome(
        f"{total:.0f} MB", total <= REACH_MB, [f"{parts} MB; {sum(fresh.values()):.0f} MB before its first use"]
    )


ROW = Row(
    "memory",
    "the whole embedded system idle, PostgreSQL included, after a little use (sum of PSS)",
    f"≤ {REACH_MB} MB",
    measure,
)


def _megabytes(system: System) -> Counter[str]:
    """PSS of the process and all that it has started, by program, in units of 10^6 bytes."""
    held: Counter[str] = Counter()
    for process in system.family():
        try:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
            assert found is not None
            held[process.name()] += int(found[1]) * 1024 / 1e6  # type: ignore[assignment]
        except (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):
            continue  # a session of PostgreSQL that ended meanwhile
    return held


async def _use(url: str) -> None:
    """Found a community; people join and post; then the leaderboards are read."""
    async with httpx.AsyncClient(base_url=url, timeout=10) as client:
        people = {}
        for number in range(PEOPLE):
            body = {"sub": f"person-{number}", "org": ORGANIZATION}
            token = (await client.post("/dev/tokens", json=body)).raise_for_status().json()["access_token"]
            people[number] = {"Authorization": f"Bearer {token}"}
        keys = iter(range(1_000_000))

        async def post(who: int, path: str, body: object, **headers: str) -> httpx.Response:
            headers |= {**people[who], "Idempotency-Key": f"key-{next(keys)}"}
            return (await client.post(path, json=body, headers=headers)).raise_for_status()

        charter = {"name": "Early risers", "affinity": "We run.", "zone": "Asia/Shanghai", "currency": "CNY"}
        founded = await post(0, "/membership/v1/communities", charter)
        community = founded.json()["id"]
        token = (await post(0, f"/membership/v1/communities/{community}/launch", None)).headers["Consistency-Token"]
        for number in range(1, PEOPLE):
            joined = await post(number, f"/membership/v1/communities/{community}/members", {})
            token = f"{token},{joined.headers['Consistency-Token']}"
            path = f"/content/v1/communities/{community}/posts"
            await post(number, path, {"kind": "text", "body": "Who runs tomorrow?"}, **{"Consistency-Token": token})
            token = joined.headers["Consistency-Token"]
        for metric in ("activity", "points"):
            path = f"/scoring/v1/communities/{community}/leaderboards/{metric}"
            (await client.get(path, headers={**people[1], "Consistency-Token": token})).raise_for_status()
    say(f"{PEOPLE} people joined and posted")
