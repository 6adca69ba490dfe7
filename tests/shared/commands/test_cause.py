"""Every fact knows its cause: the request that it was recorded by, or the fact after which it was."""

import asyncio
import uuid

import msgspec
import pytest

from shared.commands.cause import Earlier, Request, current_cause, served
from shared.commands.command import Command
from shared.commands.gateway import Gateway
from shared.database import Pool
from shared.facts import StoredFact, stored_fact
from shared.http.callers import Caller
from shared.http.request import Received
from tests.support.ledger import account, add, key

pytestmark = pytest.mark.usefixtures("postgres")

ROUTE = "POST /v1/additions"


def asked(id: str, command: str, *, keyed: bool = True) -> Command:
    """A command as a request makes it."""
    got = Received(id, {}, route=ROUTE)
    got.caller = Caller("acme", "ana", "ana", frozenset())
    token = served.set(got)
    try:
        return add(account(command), idempotency=key(f"key-{id}") if keyed else None)
    finally:
        served.reset(token)


async def facts_of(pool: Pool, stream: str) -> list[StoredFact]:
    ids = await pool.fetch(
        "select event_id::text from events where stream_id = $1 order by version", f"account-{stream}"
    )
    found = [await stored_fact(pool, row["event_id"]) for row in ids]
    return [fact for fact in found if fact is not None]


async def test_a_fact_names_the_request_with_its_key(gateway: Gateway, pool: Pool) -> None:
    await gateway.run(asked("r-1", "a"))
    await gateway.run(asked("r-2", "a", keyed=False))
    first, second = await facts_of(pool, "a")
    assert first.request == Request("r-1", ROUTE, "acme/ana", "key-r-1")
    assert second.request == Request("r-2", ROUTE, "acme/ana")
    assert (first.follows, first.stream, first.version, first.type) == (None, "account-a", 1, "added.v1")
    assert first.position < second.position


async def test_commands_that_share_a_transaction_keep_their_own_causes(gateway: Gateway, pool: Pool) -> None:
    await asyncio.gather(*(gateway.run(asked(f"r-{number}", str(number % 3))) for number in range(30)))
    assert await pool.fetchval("select count(distinct transaction_id) < 30 from events")
    for stream in range(3):
        found = [fact.request.request if fact.request else None for fact in await facts_of(pool, str(stream))]
        assert found == [f"r-{number}" for number in range(30) if number % 3 == stream]


async def test_what_is_done_in_the_background_names_the_fact_that_it_follows(gateway: Gateway, pool: Pool) -> None:
    await gateway.run(asked("r-1", "a"))
    (first,) = await facts_of(pool, "a")
    assert current_cause() is None
    await gateway.run(msgspec.structs.replace(add(account("a")), cause=Earlier(first.event_id)))
    await gateway.run(add(account("a")))
    _, second, third = await facts_of(pool, "a")
    assert (second.request, second.follows) == (None, first.event_id)
    assert (third.request, third.follows) == (None, None)


async def test_there_is_no_fact_of_another_service(pool: Pool) -> None:
    assert await stored_fact(pool, str(uuid.uuid4())) is None
