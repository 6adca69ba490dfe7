from datetime import timedelta

import pytest

from shared.commands.gateway import Gateway
from shared.commands.upkeep import delete_expired
from shared.database import Pool
from tests.support.ledger import account, add, key

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
