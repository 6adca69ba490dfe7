"""The database away, for real: 503 with `Retry-After`, in time, and recovery without a restart."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy.exc
from sqlalchemy import text

from deploy.local.postgres import EmbeddedPostgres
from shared.database import open_reader, open_writer
from shared.http.settings import HttpSettings
from shared.outages import outage_of
from tests.shared.http.test_edge import GOOD, refused
from tests.shared.http.toy import Client, toy_client


async def until_good(client: Client, status: int) -> None:
    async with asyncio.timeout(10):
        while (await client.post(GOOD)).status_code != status:
            await asyncio.sleep(0.05)


async def test_requests_are_answered_while_the_database_is_away_and_after(
    private_postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    await private_postgres.ensure_database("toy")
    dsn = private_postgres.dsn("toy")
    writer = await open_writer(dsn, name="test", size=2)
    reader = open_reader(dsn, name="test", size=2)

    async def write() -> None:
        async with writer.acquire(timeout=1) as connection:
            await connection.execute("select 1")

    async def read() -> None:
        async with reader.connect() as connection:
            await connection.execute(text("select 1"))

    async with toy_client(tmp_path, HttpSettings(mode="local", request_timeout_seconds=3)) as client:
        for act in (write, read):
            client.service.act = act
            assert (await client.post(GOOD)).status_code == 201
        private_postgres.stop_immediately()
        for act in (write, read, write, read):
            client.service.act = act
            response = await asyncio.wait_for(client.post(GOOD), 5)
            document = refused(response, 503, response.json()["type"].removeprefix("/problems/"))
            assert document["type"] in {"/problems/database-unavailable", "/problems/busy"}
            assert int(response.headers["retry-after"]) >= 1
        private_postgres.start()
        for act in (write, read):
            client.service.act = act
            await until_good(client, 201)
    await writer.close()
    await reader.dispose()


async def test_an_exhausted_pool_is_503(database: str, tmp_path: Path) -> None:
    writer = await open_writer(database, name="test", size=1)
    reader = open_reader(database, name="test", size=1)

    async def write() -> None:
        async with writer.acquire(timeout=0.2):
            pass

    async with (
        toy_client(tmp_path) as client,
        writer.acquire(),
        reader.connect(),
    ):
        client.service.act = write
        refused(await client.post(GOOD), 503, "busy")
    await writer.close()
    await reader.dispose()


async def caught(act: Callable[[], Awaitable[Any]]) -> BaseException:
    try:
        await act()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


async def test_what_is_our_mistake_is_no_outage(database: str) -> None:
    connection = await asyncpg.connect(database)
    mistakes = [
        lambda: connection.execute("selct 1"),
        lambda: connection.execute("select $1::int", "x"),
        lambda: connection.execute("select $1::bigint", 2**70),
        lambda: connection.execute("select $1", 1, 2),
        lambda: connection.execute("select 1 / 0"),
        lambda: connection.execute("select * from nothing"),
    ]
    for act in mistakes:
        assert outage_of(await caught(act)) is None
    await connection.execute("set statement_timeout = 20")
    slow = await caught(lambda: connection.execute("select pg_sleep(5)"))
    assert isinstance(slow, asyncpg.QueryCanceledError)
    assert outage_of(slow) is not None
    await connection.close()
    closed = await caught(lambda: connection.execute("select 1"))
    assert outage_of(closed) is not None


async def test_what_sqlalchemy_wraps_is_seen(database: str) -> None:
    reader = open_reader(database, name="test", size=1)

    async def run(statement: str) -> None:
        async with reader.connect() as connection:
            await connection.execute(text(statement))

    assert outage_of(await caught(lambda: run("selct 1"))) is None
    assert outage_of(await caught(lambda: run("create table x (y int)"))) is not None  # as on a standby
    killed = await caught(lambda: run("select pg_terminate_backend(pg_backend_pid())"))
    assert isinstance(killed, sqlalchemy.exc.DBAPIError)
    assert outage_of(killed) is not None
    await reader.dispose()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(), "database-unavailable"),
        (OSError("Multiple exceptions: [Errno 111] ..., [Errno 111] ..."), "database-unavailable"),
        (asyncpg.CannotConnectNowError("the database system is starting up"), "database-unavailable"),
        (asyncpg.AdminShutdownError("terminating connection"), "database-unavailable"),
        (asyncpg.TooManyConnectionsError("sorry"), "database-unavailable"),
        (asyncpg.exceptions.DiskFullError("No space left on device"), "database-unavailable"),
        (asyncpg.InterfaceError("pool is closing"), "database-unavailable"),
        (TimeoutError(), "busy"),
        (asyncpg.DeadlockDetectedError("deadlock detected"), "busy"),
        (asyncpg.LockNotAvailableError("lock timeout"), "busy"),
        (sqlalchemy.exc.TimeoutError("QueuePool limit"), "busy"),
        (FileNotFoundError(2, "No such file"), None),
        (PermissionError(13, "denied"), None),
        (asyncpg.UniqueViolationError("duplicate key"), None),
        (ValueError("x"), None),
    ],
)
def test_kinds_of_trouble(error: BaseException, reason: str | None) -> None:
    outage = outage_of(error)
    assert (outage.reason if outage else None) == reason
