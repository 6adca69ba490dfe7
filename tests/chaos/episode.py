"""One episode: load, faults, healing, draining, and the verdict."""

import asyncio
import random
import threading
import time
from dataclasses import dataclass

from tests.chaos.checker import violations
from tests.chaos.draining import until_drained
from tests.chaos.fault import Fault
from tests.chaos.faults import draw
from tests.chaos.history import Evidence
from tests.chaos.reading import read_evidence
from tests.chaos.world import World

LEAST_SECONDS = 2.0
"""Of load."""

LEAST_COMMANDS = 60
"""That are acknowledged while clients act, if they can be within `AFTERWARDS_SECONDS` of the healing."""

AFTERWARDS_SECONDS = 4.0

HEAL_SECONDS = 120.0
DRAIN_SECONDS = 120.0
"""Far more than it takes: the machine may be busy with other things."""


@dataclass(frozen=True)
class Episode:
    """What was done, and what came of it.

    Attributes:
        faults: that had the effect meant; `missed`: those that had not.
        acknowledged: commands; retries: requests that were sent again before they were answered.
        reads: that carried tokens.
        violations: of promises, as sentences.
    """

    log: str
    seed: int
    faults: list[Fault]
    missed: list[Fault]
    acknowledged: int
    retries: int
    reads: int
    seconds: float
    violations: list[str]

    def told(self) -> str:
        """In one line."""
        done = "; ".join(
            [fault.told for fault in self.faults] + [f"({fault.told}: not reached)" for fault in self.missed]
        )
        numbers = f"{self.acknowledged:5} acknowledged {self.retries:5} retries"
        verdict = "ok" if not self.violations else f"{len(self.violations)} VIOLATIONS"
        return f"{self.log:5} seed {self.seed:<6} {self.seconds:5.1f} s {numbers}  {verdict}  {done}"


async def play(world: World, seed: int, faults: list[Fault] | None = None) -> Episode:
    """Play the episode of that seed.

    Args:
        faults: those to inject; by default the seed draws them.
    """
    chance = random.Random(f"{seed} {world.log}")
    drawn = draw(chance, world) if faults is None else faults
    history = world.history
    before = len(history.acknowledged), history.retries, len(history.readings)
    began = time.monotonic()
    found: list[str] = []
    took: list[bool] = [False] * len(drawn)
    try:
        took = await _under_load(world, drawn, seed)
        await until_drained(world, DRAIN_SECONDS)
        found = await verdict(world)
    except (TimeoutError, OSError, ExceptionGroup) as error:
        found = [f"unfinished: {each!r}" for each in _leaves(error)]
    return Episode(
        world.log,
        seed,
        [fault for fault, reached in zip(drawn, took, strict=True) if reached],
        [fault for fault, reached in zip(drawn, took, strict=True) if not reached],
        len(history.acknowledged) - before[0],
        history.retries - before[1],
        len(history.readings) - before[2],
        time.monotonic() - began,
        found,
    )


def _leaves(error: Exception) -> list[Exception]:
    """What a group of exceptions consists of."""
    if isinstance(error, ExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]


async def verdict(world: World) -> list[str]:
    evidence: Evidence = await read_evidence(world)
    return violations(world.history, evidence)


async def _under_load(world: World, faults: list[Fault], seed: int) -> list[bool]:
    """Strike while clients act, and heal; whether each fault had its effect. Clients stop when all is well again, so that
    whatever is left open is answered.
    """
    stopped = threading.Event()
    enough = len(world.history.acknowledged) + LEAST_COMMANDS
    clients = world.clients(str(seed), f"{seed}")
    # In a thread: starting a server blocks, and clients are not to notice.
    load = asyncio.create_task(asyncio.to_thread(asyncio.run, clients.run(stopped.is_set)))
    try:
        took, _ = await asyncio.gather(
            asyncio.gather(*(fault.strike(world) for fault in faults)), asyncio.sleep(LEAST_SECONDS)
        )
        await world.heal(HEAL_SECONDS)
        deadline = time.monotonic() + AFTERWARDS_SECONDS
        while len(world.history.acknowledged) < enough and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
    finally:
        stopped.set()
        await load
    return list(took)
