import asyncio

from shared import lifecycle
from shared.lifecycle import running


async def test_a_task_that_fails_is_started_again() -> None:
    starts = 0
    again = asyncio.Event()

    async def run(stop: asyncio.Event) -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise RuntimeError("broken")
        again.set()
        await stop.wait()

    async with running({"toy": run}), asyncio.timeout(5):
        await again.wait()
    assert starts == 2


async def test_tasks_are_told_to_stop_and_finish_what_they_do() -> None:
    finished = False

    async def run(stop: asyncio.Event) -> None:
        nonlocal finished
        await stop.wait()
        await asyncio.sleep(0.05)
        finished = True

    async with running({"toy": run}):
        await asyncio.sleep(0.01)
    assert finished


async def test_a_task_that_does_not_stop_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def run(_: asyncio.Event) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    before = lifecycle.STOP_SECONDS
    lifecycle.STOP_SECONDS = 0.1
    try:
        async with running({"toy": run}):
            await asyncio.sleep(0.01)
    finally:
        lifecycle.STOP_SECONDS = before
    assert cancelled.is_set()
