"""Forget the answers kept under idempotency keys whose time is over."""

import asyncio
import contextlib

from shared.database import ACQUIRE_SECONDS, Pool
from shared.lifecycle import Run

LONGEST_PAUSE_SECONDS = 60.0
ROWS = 2_000
"""In one short transaction: one that has written holds back every reader of the horizon."""


def forget_expired_keys(pool: Pool, *, keep_seconds: float) -> Run:
    """A task that deletes expired keys now and then; those of money and imports have no end and stay.

    Args:
        keep_seconds: how long keys are kept; it need not look more often.
    """
    pause_seconds = min(keep_seconds, LONGEST_PAUSE_SECONDS)

    async def run(stop: asyncio.Event) -> None:
        while not stop.is_set():
            while await delete_expired(pool) == ROWS:
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_seconds)

    return run


async def delete_expired(pool: Pool) -> int:
    """Delete up to ROWS expired keys; return how many."""
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        status = await connection.execute(
            """
            delete from idempotency_keys
             where (caller, key) in (select caller, key
                                       from idempotency_keys
                                      where expires_at < clock_timestamp()
                                      order by expires_at
                                      limit $1)
            """,
            ROWS,
        )
    return int(status.split()[-1])
