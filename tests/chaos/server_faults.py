"""What is done to the servers behind the system: stopped, killed, held up, filled to the brim."""

import asyncio
import contextlib
import os
import random
from pathlib import Path

import asyncpg

from tests.chaos.fault import Fault
from tests.chaos.world import DEFINITIONS, START_SECONDS, World

FULL_SECONDS = 2.5


def postgres_restarted(chance: random.Random, world: World) -> Fault:
    pause, away = chance.uniform(0.2, 1.5), chance.uniform(0, 1.5)

    async def strike(world: World) -> bool:
        await asyncio.sleep(pause)
        world.postgres.stop_immediately()
        await asyncio.sleep(away)
        world.postgres.start(START_SECONDS)
        return True

    return Fault("PostgreSQL stopped at once", "postgres", f"PostgreSQL away for {away:.1f} s", strike)


def broker_restarted(chance: random.Random, world: World) -> Fault:
    pause, away = chance.uniform(0.2, 1.5), chance.uniform(0, 1.5)

    async def strike(world: World) -> bool:
        assert world.broker is not None
        await asyncio.sleep(pause)
        world.broker.kill()
        await asyncio.sleep(away)
        world.broker.start(START_SECONDS)
        return True

    return Fault("kill -9 of the broker", "broker", "broker killed", strike)


def held_transaction(chance: random.Random, world: World) -> Fault:
    """A session that has written stays open: nobody may read past it, nothing may be concluded from what is not there."""
    service, seconds, commits = chance.choice(list(DEFINITIONS)), chance.uniform(1, 4), chance.random() < 0.5

    async def strike(world: World) -> bool:
        try:
            connection = await world.connect(service)
        except (asyncpg.PostgresError, OSError, TimeoutError):
            return False
        try:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("create temporary table held on commit drop as select 1 as written")
            await asyncio.sleep(seconds)
            await (transaction.commit() if commits else transaction.rollback())
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            return False  # another fault has ended the session
        finally:
            connection.terminate()
        return True

    return Fault("held transaction", "session", f"a transaction of {service} held for {seconds:.1f} s", strike)


def disk_full(chance: random.Random, world: World) -> Fault:
    pause = chance.uniform(0, 1)

    async def strike(world: World) -> bool:
        assert world.disk is not None
        await asyncio.sleep(pause)
        said_before = world.postgres.log.stat().st_size
        filler = world.disk / "filler"
        _fill(filler)
        try:
            await asyncio.sleep(FULL_SECONDS)
        finally:
            filler.unlink()
        said = world.postgres.log.read_bytes()[said_before:] if world.postgres.log.exists() else b""
        world.postgres.start(START_SECONDS)  # a server that could not write its journal has given up
        return b"No space left on device" in said

    return Fault("full disk", "postgres", f"disk full for {FULL_SECONDS} s", strike)


def _fill(path: Path) -> None:
    """Write zeros until nothing more fits."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        free = os.statvfs(path).f_bavail * os.statvfs(path).f_frsize
        with contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, free)
        file.seek(0, os.SEEK_END)
        while True:
            file.write(bytes(4096))
