"""A fact that scoring cannot apply, and the operator's repair."""

import os
import signal
import subprocess
import sys

import httpx

from tests.kills.world import PERSONS, World

VICTIM = PERSONS[5]
"""Whose key is parked; the load writes for it, too, so facts queue behind the poison."""


async def plant_poison(world: World) -> bytes:
    """Spoil the value of a post that content has recorded for the victim and not yet published; return what it was."""
    headers = {"Authorization": f"Bearer {world.token()}", "Acting-Person": VICTIM, "Idempotency-Key": "post-spoiled"}
    async with httpx.AsyncClient(base_url=world.roles["content api"].url) as client:
        response = await client.post(
            f"/v1/communities/{world.community}/posts", headers=headers, json={"body": "to be spoiled"}
        )
    assert response.status_code == 201, response.text
    content = await world.connect("content")
    try:
        value: bytes = await content.fetchval("select value from outbox where key = $1", VICTIM)
        await content.execute("update outbox set value = $2 where key = $1", VICTIM, b'{"local_day": "never"}')
    finally:
        await content.close()
    return value


async def heal_and_replay(world: World, value: bytes, *, kill_at: tuple[str, ...]) -> None:
    """Put the spoiled value right, then replay the key's queue, killed at each point once before it may finish."""
    scoring = await world.connect("scoring")
    try:
        lane = await scoring.fetchval("select lane from dead_letters where key = $1 limit 1", VICTIM)
        assert lane is not None, "nothing was parked"
        waiting = await scoring.fetchval("select count(*) from dead_letters where key = $1", VICTIM)
        assert waiting > 1, "nothing queued behind the poison"
        await scoring.execute("update dead_letters set value = $2 where key = $1 and reason is not null", VICTIM, value)
        for point in (*kill_at, None):
            code = _replay(world, lane, point)
            assert code == (0 if point is None else -signal.SIGKILL)
        assert await scoring.fetchval("select count(*) from dead_letters") == 0
    finally:
        await scoring.close()


def _replay(world: World, lane: int, point: str | None) -> int:
    environment = {
        **os.environ,
        **world.environment["scoring"],
        "QUNLI_FAILPOINTS": f"{point}=kill" if point else "",
        "QUNLI_FAILPOINTS_LOG": str(world.hits),
    }
    command = [sys.executable, "-m", "services.scoring", "replay", str(lane), VICTIM]
    return subprocess.run(command, env=environment, check=False, timeout=60, stdin=subprocess.DEVNULL).returncode
