"""What is done to a process of the system: killed, stopped for a while, cut off, given a wrong clock."""

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from shared.failpoints import POINTS
from tests.chaos.fault import Fault
from tests.chaos.world import SESSION_SECONDS, World
from tests.support.processes import Role

REACH_SECONDS = 25.0
"""How long a failpoint is waited for."""

PAUSE_SECONDS = SESSION_SECONDS + 2.5
WRONG_SECONDS = 2.5
HOUR, DAY = 3600, 86_400

ELSEWHERE = frozenset(
    {"consumer.in-revoke", "scoring.before-split-commit"}
    | {p for p in POINTS if p.startswith(("deadletters", "rebuild"))}
)
"""Points with tests of their own (tests/kills, tests/scoring/test_rebuild.py), or a fault of their own."""

SELDOM = frozenset({"relay.after-prune", "settler.before-settling", "settler.after-settling"})
"""Points that are passed every ten seconds, or only when there is something to do."""


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


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.1)


def _role(chance: random.Random, world: World, fits: Callable[[str], bool] = lambda _: True) -> Role:
    names: Sequence[str] = sorted(name for name in world.roles if fits(name))
    return world.roles[chance.choice(names)]
