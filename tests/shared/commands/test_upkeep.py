import asyncio
from datetime import timedelta

import msgspec
import pytest

from shared.commands import upkeep
from shared.commands.gateway import Gateway
from shared.commands.upkeep import delete_expired, forget_expired_keys
from shared.commands.writing import Writing
from shared.database import Pool
from shared.lifecycle import running
from tests.support.ledger import account, add, key, project, publish

pytestmark = pytest.mark.usefixtures("postgres")


async def test_expired_keys_are_forgotten_and_those_without_an_end_stay(gateway: Gateway, pool: Pool) -> None:
    await gateway.run(add(account("a"), idempotency=key("old")))
    await gateway.run(add(account("a"), idempotency=key("young")))
    await pool.execute("update idempotency_keys set expires_at = now() - $1::interval where key = 'old'", timedelta(1))
    await pool.execute(
        """
        insert into idempotency_keys (caller, key, route, body_hash, status, headers, body, token, created_at)
        select caller, 'money', route, body_hash, status, headers, body, token, created_at
          from idempotency_keys where key = 'young'
        """
    )
    assert await delete_expired(pool) == 1
    assert {row[0] for row in await pool.fetch("select key from idempotency_keys")} == {"young", "money"}


async def test_keys_are_forgotten_in_short_transactions(
    gateway: Gateway, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "ROWS", 2)
    for number in range(5):
        await gateway.run(add(account("a"), idempotency=key(str(number))))
    await pool.execute("update idempotency_keys set expires_at = now() - interval '1 day'")
    assert [await delete_expired(pool) for _ in range(4)] == [2, 2, 1, 0]


async def test_how_long_keys_are_kept_is_a_setting(pool: Pool) -> None:
    gateway = Gateway(pool, Writing("ledger", "ledger.events", 12, publish, project, key_keep_seconds=0.2))
    await gateway.run(add(account("a"), idempotency=key("short")))
    await gateway.run(add(account("a"), idempotency=msgspec.structs.replace(key("money"), keep=True)))
    async with running({"upkeep": forget_expired_keys(pool, keep_seconds=0.2)}), asyncio.timeout(10):
        while await pool.fetchval("select count(*) from idempotency_keys where key = 'short'"):
            await asyncio.sleep(0.02)
    assert await pool.fetchval("select count(*) from idempotency_keys where key = 'money'") == 1
    await gateway.close()
