"""Long-running tasks of a process: started together, restarted after a failure, stopped within a deadline."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import structlog

STOP_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0

log = structlog.get_logger()

Run = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set."""


def spare_collector() -> None:
    """Keep the collector of cycles from walking, over and over, what lives as long as the process: code, and the records
    of a batch. With Python's own thresholds it took a quarter of a consumer's time. Call it once, after the imports.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


async def supervise(name: str, run: Run, stop: asyncio.Event) -> None:
    """Keep `run` running until `stop`: after a failure it starts again, after a growing pause."""
    pause = FIRST_PAUSE_SECONDS
    while not stop.is_set():
        started = asyncio.get_running_loop().time()
        try:
            await run(stop)
        except Exception as error:  # the boundary of a task: logged, and tried again
            log.error("task.failed", task=name, exc_info=error)
        if asyncio.get_running_loop().time() - started > LONGEST_PAUSE_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


@asynccontextmanager
async def running(tasks: Mapping[str, Run]) -> AsyncIterator[asyncio.Event]:
    """Run supervised tasks for as long as the context lasts; the event yielded stops them.

    On leaving they are given STOP_SECONDS to end by themselves and are cancelled then.
    """
    stop = asyncio.Event()
    started = [asyncio.create_task(supervise(name, run, stop), name=name) for name, run in tasks.items()]
    try:
        yield stop
    finally:
        stop.set()
        if started:
            _, late = await asyncio.wait(started, timeout=STOP_SECONDS)
            for task in late:
                log.warning("task.cancelled", task=task.get_name())
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
