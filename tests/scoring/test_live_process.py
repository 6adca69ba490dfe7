"""The role `api` as a process of its own, with open streams, when it is told to stop."""

import asyncio
import json
import socket
import time
from pathlib import Path

import asyncpg
import pytest

from shared.command_line import DRAIN_SECONDS
from shared.http.issuer import DevelopmentIssuer
from shared.settings import Settings
from tests.scoring.story import Story
from tests.support.issuing import serving_keys
from tests.support.processes import Role
from tests.support.streaming import reading

READERS = 25


@pytest.mark.timeout(120)
async def test_streams_end_with_a_reason_when_the_process_is_told_to_stop(
    scoring_database: str, pool: "asyncpg.Pool[asyncpg.Record]", told: tuple[Story, str], tmp_path: Path
) -> None:
    """Also those whose readers do not read. Nothing is logged but what is always logged, and no session stays."""
    environment = {"mode": "local", "log": "local", "database_url": scoring_database, "log_level": "info"}
    issuer = DevelopmentIssuer(Settings.model_validate(environment), tmp_path)
    token = issuer.sign(sub="ana", org="acme")
    output = tmp_path / "output"
    with serving_keys(issuer) as keys:
        settings = {f"QUNLI_{name.upper()}": value for name, value in (environment | {"auth_jwks_url": keys}).items()}
        settings["QUNLI_MOST_STREAMS_OF_ONE"] = str(READERS + 1)
        role = Role("scoring", "api", settings, tmp_path / "hits", output)
        await role.start()
        try:
            await role.until_ready()
            path = f"/scoring/v1/communities/{told[1]}/leaderboards/points/stream"
            url = f"http://127.0.0.1:{role.port}{path}"

            async def read_to_the_end() -> tuple[str, object]:
                async with reading(url, {"authorization": f"Bearer {token}"}) as stream:
                    assert (await stream.next()).name == "snapshot"
                    begun.release()
                    end = await stream.next()
                    with pytest.raises(EOFError):
                        await stream.next()
                    return end.name, end.data

            begun = asyncio.Semaphore(0)
            readers = [asyncio.create_task(read_to_the_end()) for _ in range(READERS)]
            with socket.create_connection(("127.0.0.1", role.port)) as deaf:
                deaf.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n".encode())
                for _ in range(READERS):
                    await begun.acquire()
                assert await sessions(pool) > 0
                started_at = time.monotonic()
                stopping = asyncio.create_task(role.stop())  # SIGTERM
                assert await asyncio.gather(*readers) == [("end", {"reason": "shutting-down"})] * READERS
                await stopping
                assert time.monotonic() - started_at < DRAIN_SECONDS
        finally:
            for reader in readers:
                reader.cancel()
            await role.stop()
    assert await sessions(pool) == 0
    records = [json.loads(line) for line in output.read_text().splitlines() if line.startswith("{")]
    assert [record for record in records if record["level"] not in ("info", "debug")] == []
    assert "Traceback" not in output.read_text()


async def sessions(pool: "asyncpg.Pool[asyncpg.Record]") -> int:
    """Connections of the process to the database."""
    count = "select count(*) from pg_stat_activity where datname = current_database() and application_name ~ '^qunli'"
    return int(await pool.fetchval(count))
