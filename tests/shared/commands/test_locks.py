import asyncio

import pytest

from shared.commands.locks import try_locks, wait_locks
from shared.database import Pool

pytestmark = pytest.mark.usefixtures("postgres")


async def test_locks_are_taken_in_the_order_of_their_numbers(pool: Pool) -> None:
    """So that no two who wait for the same ones wait for each other."""
    async with pool.acquire() as holder, pool.acquire() as waiter, pool.acquire() as third:
        async with holder.transaction():
            assert await try_locks(holder, {2: False}) == frozenset()

            async def wait() -> None:
                async with waiter.transaction():
                    await wait_locks(waiter, {2: False, 1: False})

            waiting = asyncio.create_task(wait())
            async with asyncio.timeout(5):
                while not await third.fetchval("select exists (select from pg_locks where not granted)"):
                    await asyncio.sleep(0.01)
            async with third.transaction():
                held = await try_locks(third, {1: False, 3: False})
        await waiting
        assert held == {1}
