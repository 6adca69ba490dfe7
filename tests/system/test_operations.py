"""The one-off commands of an operator, as they are typed."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.support.databases import Databases


@pytest.fixture
async def environment(databases: Databases, anyio_backend: str) -> AsyncIterator[dict[str, str]]:
    """Settings of a service on empty databases."""
    async with databases.fresh() as service, databases.fresh() as log:
        yield {"QUNLI_DATABASE_URL": service, "QUNLI_LOG": "local", "QUNLI_LOCAL_LOG_URL": log}


def run(environment: dict[str, str], service: str, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", f"services.{service}", *arguments]
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout + done.stderr


async def test_migrate_then_operate(environment: dict[str, str]) -> None:
    code, said = run(environment, "scoring", "migrate")
    assert code == 0
    assert "shared/0001_kernel.sql" in said
    assert "scoring/0001_scoring.sql" in said
    assert run(environment, "scoring", "migrate") == (0, "nothing to apply\n")
    assert run(environment, "scoring", "parked") == (0, "no key is parked\n")
    assert run(environment, "scoring", "replay", "3", "ana") == (0, "0 applied, 0 left\n")
    assert run(environment, "scoring", "accept-epoch", "content.events", "2")[0] == 0
    connection = await asyncpg.connect(environment["QUNLI_DATABASE_URL"])
    try:
        accepted = await connection.fetchrow("select consumer, topic, epoch from accepted_epochs")
        assert tuple(accepted) == ("scoring", "content.events", 2)
    finally:
        await connection.close()


async def test_the_epoch_is_raised(environment: dict[str, str]) -> None:
    assert run(environment, "content", "migrate")[0] == 0
    code, said = run(environment, "content", "raise-epoch")
    assert (code, said.strip()) == (0, "epoch 2")
    connection = await asyncpg.connect(environment["QUNLI_DATABASE_URL"])
    try:
        assert await connection.fetchval("select epoch from database_epoch") == 2
    finally:
        await connection.close()


async def test_a_wrong_command_says_which_there_are(environment: dict[str, str]) -> None:
    code, said = run(environment, "content", "dance")
    assert code == 2
    for role in ("api", "relay", "consume", "migrate", "raise-epoch"):
        assert role in said


async def test_a_missing_setting_is_named(environment: dict[str, str]) -> None:
    code, said = run({**environment, "QUNLI_DATABASE_URL": ""}, "content", "migrate")
    assert code == 1
    assert "Traceback" not in said
    assert "database" in said.lower()


async def test_a_database_that_is_away_is_told_in_a_line(environment: dict[str, str]) -> None:
    away = {**environment, "QUNLI_DATABASE_URL": "postgresql://a@127.0.0.1:1/a"}
    code, said = run(away, "content", "migrate")
    assert code == 1
    assert "Traceback" not in said
    assert said.startswith("content migrate: ")
