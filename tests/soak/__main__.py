"""`python -m tests.soak [--minutes 30] [--log kafka|local] [--samples FILE]`."""

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import uvloop

from deploy.local.processes import end_with_make, heed_interrupts
from tests.bench.rows import say
from tests.soak import report
from tests.soak.load import Load
from tests.soak.stand import Stand, stand
from tests.soak.verdicts import Point
from tests.soak.watching import Watch, watching

COMMUNITIES = 6
MEMBERS = 20
STRANGERS = 120_000
"""Who join first: as many as scoring's consumer remembers, so that its memory is as full as it gets."""
CLIENTS = 32
SHARE = 0.5
"""Of the measured capacity."""
SAMPLES = 240
"""At most so many, as long as they are not closer than LEAST_SECONDS."""
LEAST_SECONDS = 1.0
DRAIN_SECONDS = 300.0
KEEP_SHARE = 1 / 40
"""What is pruned is kept for this share of the run: many rounds of pruning are seen."""


@dataclass
class Soak:
    """What was measured.

    Attributes:
        capacity: requests a second that are answered, relayed and folded.
        rate: of the soak.
    """

    capacity: float = 0.0
    rate: float = 0.0
    answered: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    series: defaultdict[str, list[Point]] = field(default_factory=lambda: defaultdict(list))

    @property
    def failure_share(self) -> float:
        failures = sum(self.failed.values())
        return failures / max(1, self.answered + failures)


async def soak(
    system: Stand, seconds: float, *, strangers: int, burst_seconds: float, seed: int, samples: TextIO | None
) -> Soak:
    """Fill the caches, measure the capacity, then load the system with its share for so long."""
    done = Soak()
    async with watching(system) as watch:
        load = Load(system.apis, system.authority, random.Random(seed))
        await load.found(COMMUNITIES, members=MEMBERS)
        say(f"{COMMUNITIES} communities founded; {strangers:,} strangers join")
        await load.join_strangers(strangers, CLIENTS)
        await _until_drained(watch)
        say(f"all have joined; burst of {burst_seconds:.0f} s")
        done.capacity = await _capacity(load, watch, burst_seconds)
        done.rate = done.capacity * SHARE
        say(f"capacity {done.capacity:,.0f} requests/s; {seconds:,.0f} s at {done.rate:,.0f}/s")
        load.cut()
        before = load.answered
        load.failed.clear()
        loading = asyncio.create_task(load.at_rate(done.rate, seconds))
        started_at = time.monotonic()
        pause = max(LEAST_SECONDS, seconds / SAMPLES)
        while not loading.done():
            await asyncio.wait({loading}, timeout=pause)
            at, commands = time.monotonic() - started_at, load.answered - before
            sample = {**await watch.sample(), **_latencies(load.cut())}
            for name, value in sample.items():
                done.series[name].append(Point(at, commands, value))
            if samples is not None:
                print(json.dumps({"seconds": at, "commands": commands, **sample}), file=samples, flush=True)
        await loading
        done.answered, done.failed = load.answered - before, dict(load.failed)
    return done


async def _capacity(load: Load, watch: Watch, seconds: float) -> float:
    """Requests a second at full speed, the time counted in which relays and consumers follow."""
    await load.at_full_speed(CLIENTS, seconds / 4)  # warm
    await _until_drained(watch)
    before, started_at = load.answered, time.monotonic()
    await load.at_full_speed(CLIENTS, seconds)
    await _until_drained(watch)
    return (load.answered - before) / (time.monotonic() - started_at)


async def _until_drained(watch: Watch) -> None:
    async with asyncio.timeout(DRAIN_SECONDS):
        while await watch.waiting() > 0:
            await asyncio.sleep(0.1)


def _latencies(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    return {f"latency p{share}/all": 1000 * seconds[len(seconds) * share // 100] for share in (50, 99)}


def main() -> int:
    """Soak, print the report; 0 if everything is bounded."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("MINUTES") or 30))
    parser.add_argument("--log", choices=("kafka", "local"), default=os.environ.get("LOG") or "kafka")
    parser.add_argument("--strangers", type=int, default=STRANGERS)
    parser.add_argument("--burst-seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", type=Path, help="file to which all samples are written, as lines of JSON")
    options = parser.parse_args()
    heed_interrupts()
    end_with_make()
    seconds = 60 * options.minutes
    samples = options.samples.open("w") if options.samples else None
    with stand(options.log, keep_seconds=max(1.0, seconds * KEEP_SHARE)) as system:
        say(f"{len(system.processes)} processes on {options.log} are ready")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            done = runner.run(
                soak(
                    system,
                    seconds,
                    strangers=options.strangers,
                    burst_seconds=options.burst_seconds,
                    seed=options.seed,
                    samples=samples,
                )
            )
    unbounded = report.judged(done.series)
    print(report.table(done.series, unbounded))
    print(f"capacity {done.capacity:,.0f} requests/s; {done.answered:,} answered at {done.rate:,.0f}/s")
    for act, number in sorted(done.failed.items()):
        print(f"failed: {number:,} × {act}")
    failing = done.failure_share > report.MOST_FAILURES
    for name, why in unbounded.items():
        print(f"NOT BOUNDED: {name} {why}")
    if failing:
        print(f"NOT SERVED: {done.failure_share:.2%} of the requests failed, {report.MOST_FAILURES:.2%} at most")
    return 1 if unbounded or failing else 0


if __name__ == "__main__":
    sys.exit(main())
