"""What is done to the running system: each fault strikes one process or one server, and leaves the healing to the episode."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from shared.failpoints import POINTS
from tests.chaos.world import DEFINITIONS, SESSION_SECONDS, START_SECONDS, World
from tests.support.clocks import movable
from tests.support.processes import Role

REACH_SECONDS = 25.0
"""How long a failpoint is waited for."""

PAUSE_SECONDS = SESSION_SECONDS + 2.5
FULL_SECONDS = 2.5
WRONG_SECONDS = 2.5
HOUR, DAY = 3600, 86_400

ELSEWHERE = frozenset(
    {"consumer.in-revoke", "scoring.before-split-commit"}
    | {p for p in POINTS if p.startswith(("deadletters", "rebuild"))}
)
"""Points with tests of their own (tests/kills, tests/scoring/test_rebuild.py), or a fault of their own."""

SELDOM = frozenset({"relay.after-prune", "settler.before-settling", "settler.after-settling"})
"""Points that are passed every ten seconds, or only when there is something to do."""

Strike = Callable[[World], Awaitable[bool]]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        kind: for the figures.
        touches: what it strikes; the faults of one episode strike different things.
        told: in one phrase.
        strike: does it, and tells whether it had the effect meant.
    """

    kind: str
    touches: str
    told: str
    strike: Strike


def draw(chance: random.Random, world: World) -> list[Fault]:
    """One to three faults that do not touch the same."""
    makers: dict[Callable[[random.Random, World], Fault], float] = {
        at_failpoint: 9,
        killed: 2,
        revoked: 0.7,
        paused: 1.5,
        stopped_writing: 1.5,
        postgres_restarted: 1.2,
        held_transaction: 1.5,
    }
    if world.broker is not None:
        makers[broker_restarted] = 2
    if movable():
        makers[wrong_clock] = 1.5
    if world.disk is not None:
        makers[disk_full] = 1
    found: dict[str, Fault] = {}
    for make in chance.choices(list(makers), list(makers.values()), k=chance.choice((1, 1, 2, 2, 3))):
        fault = make(chance, world)
        found.setdefault(fault.touches, fault)
    return list(found.values())


def points_of(service: str, role: str) -> list[str]:
    """The failpoints that a process of this role may reach."""
    prefixes = {"api": ["gateway."], "relay": ["relay."], "consume": ["consumer."]}[role]
    if role == "consume":
        prefixes += {
            "membership": ["settler.", "gateway."],
            "campaigns": ["attribution.", "gateway."],
            "scoring": ["scoring."],
        }.get(service, [])
    return sorted(point for point in POINTS - ELSEWHERE if point.startswith(tuple(prefixes)))


def at_failpoint(chance: random.Random, world: World) -> Fault:
    role = _role(chance, world, lambda name: name != "scoring api")
    point, hit = chance.choice(points_of(role.service, role.role)), chance.choice((1, 1, 2, 5))
    return kill_at(role, point, 1 if point in SELDOM else hit)


def kill_at(role: Role, point: str, hit: int = 1) -> Fault:
    """Killed by SIGKILL in the middle of what it does; the process is started anew to be armed."""

    async def strike(_: World) -> bool:
        await role.kill()
        reached = await _killed_at(role, f"{point}=kill@{hit}")
        await role.kill()
        await role.start()
        return reached

    return Fault(f"kill at a failpoint of {role.role}", role.name, f"{role.name} at {point}@{hit}", strike)


async def _killed_at(role: Role, armed: str) -> bool:
    """Whether the point was reached in time. What ends by itself, because a server is away, is started again."""
    deadline = time.monotonic() + REACH_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        await role.start(armed)
        try:
            if await role.ended(left) == -signal.SIGKILL:
                return True
        except TimeoutError:
            return False
        await asyncio.sleep(0.2)
    return False


def killed(chance: random.Random, world: World) -> Fault:
    role, pause = _role(chance, world), chance.uniform(0, 1.5)

    async def strike(_: World) -> bool:
        await asyncio.sleep(pause)
        await role.kill()
        await asyncio.sleep(0.2)
        await role.start()
        return True

    return Fault("kill -9", role.name, f"{role.name} killed", strike)


def revoked(chance: random.Random, world: World) -> Fault:
    """Killed while partitions are taken from it, since another consumer came."""
    role = _role(chance, world, lambda name: name.endswith("consume"))
    # Kafka's listener is also called before the first assignment.
    armed = f"consumer.in-revoke=kill@{1 if world.broker is None else 2}"

    async def strike(world: World) -> bool:
        await role.kill()
        await role.start(armed)
        second = world.another(role)
        try:
            with contextlib.suppress(TimeoutError):
                await _until(role.is_ready, REACH_SECONDS)
            await second.start()
            try:
                reached = await role.ended(REACH_SECONDS) == -signal.SIGKILL
            except TimeoutError:
                reached = False
            await asyncio.sleep(0.5)
        finally:
            await second.kill()
        await role.kill()
        await role.start()
        return reached

    return Fault("kill at a failpoint of consume", role.name, f"{role.name} at consumer.in-revoke", strike)


def paused(chance: random.Random, world: World) -> Fault:
    role = _role(chance, world, lambda name: not name.endswith("api"))
    return stopped(role, cut=role.name.endswith("relay") and chance.random() < 0.6)


def stopped(role: Role, *, cut: bool = False) -> Fault:
    """Stopped beyond its timeouts while another one takes over; then it goes on as if nothing had been.

    Args:
        cut: end its database session meanwhile, and with it the lock of a relay.
    """

    async def strike(world: World) -> bool:
        second = world.another(role)
        await second.start()
        try:
            with contextlib.suppress(TimeoutError):
                await _until(second.is_ready, REACH_SECONDS)
            role.pause()
            try:
                if cut:
                    await _cut_sessions(world, role.service)
                await asyncio.sleep(PAUSE_SECONDS)
            finally:
                role.resume()
            await asyncio.sleep(1)
        finally:
            await second.kill()
        return True

    told = f"{role.name} stopped for {PAUSE_SECONDS} s{', its session lost' if cut else ''}"
    return Fault(f"SIGSTOP of {role.role}", role.name, told, strike)


def stopped_writing(chance: random.Random, world: World) -> Fault:
    role = _role(chance, world, lambda name: name.endswith("api") and name != "scoring api")
    return stopped_before_commit(role, chance.choice((1, 2, 5)), chance.uniform(1, 4))


def stopped_before_commit(role: Role, hit: int, seconds: float) -> Fault:
    """Stopped with facts that are written and not committed, while the other process of the API goes on: its locks are
    held, nobody may read past it, and it may still commit.
    """

    async def stands() -> bool:
        return role.stands

    async def strike(_: World) -> bool:
        await role.kill()
        await role.start(f"gateway.before-commit=stop@{hit}")
        try:
            await _until(stands, REACH_SECONDS)
        except TimeoutError:
            await role.kill()
            await role.start()
            return False
        await asyncio.sleep(seconds)
        role.resume()
        return True

    return Fault("SIGSTOP of api", role.name, f"{role.name} stopped before a commit for {seconds:.1f} s", strike)


async def _cut_sessions(world: World, service: str) -> None:
    """End the session of a stopped relay, and its lock with it, as a network does that forgets a connection."""
    with contextlib.suppress(asyncpg.PostgresError, OSError):
        connection = await world.connect(service)
        try:
            await connection.execute(
                """
                select pg_terminate_backend(pid)
                  from pg_stat_activity
                 where datname = current_database()
                   and pid in (select pid from pg_locks where locktype = 'advisory' and granted)
                   and application_name = $1
                """,
                f"qunli relay {service}",
            )
        finally:
            await connection.close()


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


def wrong_clock(chance: random.Random, world: World) -> Fault:
    role, off = _role(chance, world), chance.choice((-DAY, -HOUR, HOUR, DAY))

    async def strike(_: World) -> bool:
        await role.kill()
        await role.start(clock_seconds=off)
        try:
            await _until(role.is_ready, REACH_SECONDS)
            right = True
        except TimeoutError:
            right = False
        await asyncio.sleep(WRONG_SECONDS)
        await role.kill()
        await role.start()
        return right

    return Fault("wrong clock", role.name, f"clock of {role.name} {off:+} s", strike)


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


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.1)


def _role(chance: random.Random, world: World, fits: Callable[[str], bool] = lambda _: True) -> Role:
    names: Sequence[str] = sorted(name for name in world.roles if fits(name))
    return world.roles[chance.choice(names)]
