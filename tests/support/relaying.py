"""Runs a relay for the length of a test, and waits for what it does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from shared.messaging.log import LogUnavailable
from shared.messaging.relay import Relay


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[None]:
    """The relay at work; stopped in order afterwards."""
    stop = asyncio.Event()
    task = asyncio.create_task(relay.run(stop))
    try:
        yield
    finally:
        stop.set()
        relay.wake()
        async with asyncio.timeout(15):
            await task


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Wait for the condition; a log that cannot be read (no such topic yet) does not meet it."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                if await condition():
                    return
            except LogUnavailable:
                pass
            await asyncio.sleep(0.02)
