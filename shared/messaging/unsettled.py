"""Measure what waits for the facts of other services: how much, and for how long."""

import asyncio
import contextlib
from collections.abc import Callable

from shared.database import ACQUIRE_SECONDS, Pool
from shared.lifecycle import Run
from shared.observability import metrics

WATCH_SECONDS = 2.0


def watch_unsettled(service: str, recorded: str) -> Callable[[Pool], Run]:
    """Makes the task that measures, for the role `consume`.

    Args:
        recorded: a query for the column `recorded_at`, one row for everything that waits.
    """
    query = f"""
        select count(*), coalesce(extract(epoch from clock_timestamp() - min(recorded_at)), 0)::float8
          from ({recorded}) as waiting
    """
    waiting, oldest = metrics.UNSETTLED.labels(service), metrics.UNSETTLED_OLDEST_AGE_SECONDS.labels(service)

    def of(pool: Pool) -> Run:
        async def run(stop: asyncio.Event) -> None:
            while not stop.is_set():
                number, age = await pool.fetchrow(query, timeout=ACQUIRE_SECONDS)
                waiting.set(number)
                oldest.set(max(0.0, age))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), WATCH_SECONDS)

        return run

    return of
