"""Play episodes for a given time, and say what was found: `make chaos [SECONDS=600] [SEED=n] [LOG=local|kafka|both]`."""

import asyncio
import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import msgspec

from deploy.local.processes import heed_interrupts
from tests.chaos.episode import Episode, play
from tests.chaos.figures import figures
from tests.chaos.world import World, cluster, world
from tests.support.forge import forge

EPISODES_OF_A_WORLD = 20
"""Then all begins anew, on the other log: what has to be compared grows with every episode."""

KEPT = Path(".state") / "chaos"
LOGS = {"local": ("local",), "kafka": ("kafka",), "both": ("local", "kafka")}


async def run(seconds: float, seed: int, logs: tuple[str, ...], played: list[Episode]) -> None:
    """Episodes with the seeds `seed`, `seed + 1` … until the time is over; at least one. They are put into `played`."""
    deadline = time.monotonic() + seconds
    folder = Path(tempfile.mkdtemp(prefix="qunli-chaos-"))
    folder.chmod(0o755)
    try:
        with cluster(folder) as (postgres, disk):
            if disk is None:
                print("No file system of its own for PostgreSQL could be mounted: no disk will be full.")
            async with forge() as made:
                for number in itertools.count():
                    name = f"chaos_{number}"
                    kafka = folder / f"{name}_kafka" if logs[number % len(logs)] == "kafka" else None
                    async with world(postgres, disk, made.launch, folder / name, name, kafka=kafka) as place:
                        async for episode in episodes(place, seed + len(played)):
                            played.append(episode)
                            if time.monotonic() > deadline:
                                return
    finally:
        shutil.rmtree(folder)


async def episodes(place: World, seed: int) -> AsyncIterator[Episode]:
    """Episodes in one world, from that seed on, until it has had its share or is broken."""
    for number in range(seed, seed + EPISODES_OF_A_WORLD):
        episode = await play(place, number)
        print(episode.told(), flush=True)
        if episode.violations:
            keep(place, episode)
        yield episode
        if episode.violations:
            return  # what is broken stays broken


def keep(place: World, episode: Episode) -> None:
    """Put aside what one needs to find the cause, and say where."""
    target = KEPT / f"{episode.log}-{episode.seed}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    logs = [place.postgres.log, place.output, place.hits]
    for file in logs if place.broker is None else [*logs, place.broker.log]:
        shutil.copy(file, target)
    (target / "history.json").write_bytes(msgspec.json.encode(asdict(place.history)))
    (target / "violations").write_text("\n".join(episode.violations) + "\n")
    for violation in episode.violations:
        print(f"      {violation}")
    print(f"      kept in {target}; again: make chaos SECONDS=1 SEED={episode.seed} LOG={episode.log}", flush=True)


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    heed_interrupts()
    seconds = float(os.environ.get("SECONDS") or 600)
    seed = int(os.environ.get("SEED") or random.randrange(1_000_000))
    played: list[Episode] = []
    try:
        asyncio.run(run(seconds, seed, LOGS[os.environ.get("LOG") or "both"], played))
    except KeyboardInterrupt:
        print("Stopped.")
    finally:
        print(figures(played), flush=True)
    return 1 if any(episode.violations for episode in played) else 0


if __name__ == "__main__":
    sys.exit(main())
