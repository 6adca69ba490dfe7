"""Campaigns' copy of communities, bindings and shares: the same whatever the order in which lanes are heard."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from services.campaigns.purchase import Community
from services.campaigns.replica import Communities, Replica
from shared.messaging.facts import InboundFact, LaneFacts, Poison
from tests.campaigns.facts import COMMUNITY, NOW, RUNNERS
from tests.campaigns.heard import absent, bound, founded, in_lanes, join_id, joined, launched, shared
from tests.campaigns.histories import deliveries

OTHERS = "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a11"
SECOND = timedelta(seconds=1)
LATER = NOW + SECOND

Tables = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[Any]:
    opened = await asyncpg.connect(dsn)
    try:
        yield opened
    finally:
        await opened.close()


async def hear(connection: Any, *facts: InboundFact) -> None:
    async with connection.transaction():
        await Replica().apply(connection, in_lanes(facts))


async def tables(connection: Any) -> Tables:
    queries = {
        "communities": "select community::text, organization, zone, currency from communities order by community",
        "bindings": "select organization, person, referrer, since from bindings order by organization, person",
        "pending": "select person, join_id::text, recorded_at from pending_joins order by person, join_id",
        "shares": "select code, organization, sharer, occurred_at, recorded_at from shares order by code",
    }
    return {name: [tuple(row) for row in await connection.fetch(query)] for name, query in queries.items()}


@pytest.mark.parametrize("first", [founded(), launched(), joined("bo"), joined("bo", "ana")])
async def test_a_community_is_known_from_whatever_is_heard_first(connection: Any, first: InboundFact) -> None:
    await hear(connection, first)
    assert await Communities().load(connection, {RUNNERS, OTHERS}) == {RUNNERS: COMMUNITY}
    await hear(connection, founded(), launched(), joined("cy"))
    assert (await tables(connection))["communities"] == [(RUNNERS, "acme", "Asia/Shanghai", "CNY")]


async def test_communities_are_looked_up_together(connection: Any) -> None:
    await hear(connection, founded(), founded(community=OTHERS, organization="umbrella", zone="UTC", currency="EUR"))
    assert await Communities().load(connection, {RUNNERS, OTHERS}) == {
        RUNNERS: COMMUNITY,
        OTHERS: Community(organization="umbrella", community=OTHERS, zone="UTC", currency="EUR"),
    }


async def test_a_known_community_is_not_written_again(connection: Any) -> None:
    """Else every join would wait for every other lane's batch."""
    await hear(connection, joined("bo"))
    before = await connection.fetchval("select xmin::text from communities")
    await hear(connection, joined("cy"), founded())
    assert await connection.fetchval("select xmin::text from communities") == before


async def test_the_earliest_binding_holds_for_good(connection: Any) -> None:
    await hear(connection, joined("bo", "ana"))
    await hear(connection, joined("bo", "ana", recorded_at=LATER, community=OTHERS))
    assert (await tables(connection))["bindings"] == [("acme", "bo", "ana", NOW)]


async def test_each_organization_binds_for_itself(connection: Any) -> None:
    await hear(connection, joined("bo", "ana"), joined("bo", "dan", organization="umbrella", community=OTHERS))
    assert (await tables(connection))["bindings"] == [("acme", "bo", "ana", NOW), ("umbrella", "bo", "dan", NOW)]


async def test_who_joins_unbound_has_no_binding(connection: Any) -> None:
    await hear(connection, joined("bo"))
    found = await tables(connection)
    assert (found["bindings"], found["pending"]) == ([], [])


@pytest.mark.parametrize("together", [True, False])
async def test_a_pending_join_is_settled(connection: Any, together: bool) -> None:
    facts = [
        joined("bo", pending="1"),
        joined("bo", pending="2", recorded_at=LATER),
        bound("bo", "1", "ana", since=NOW),
        absent("bo", "2"),
        joined("cy", pending="3"),
    ]
    for batch in [facts] if together else [[fact] for fact in facts]:
        await hear(connection, *batch)
    found = await tables(connection)
    assert found["bindings"] == [("acme", "bo", "ana", NOW)]
    assert found["pending"] == [("cy", join_id("3"), NOW)]


async def test_a_share_is_known_by_its_code(connection: Any) -> None:
    await hear(connection, shared("bo", "5R8T2W4Z", recorded_at=LATER))
    assert (await tables(connection))["shares"] == [("5R8T2W4Z", "acme", "bo", NOW, LATER)]


async def test_what_cannot_be_read_is_poison_and_writes_nothing(connection: Any) -> None:
    broken = founded()
    broken.value = b'{"organization":"acme"}'
    with pytest.raises(Poison) as poison:
        await hear(connection, joined("bo", "ana"), broken)
    assert poison.value.fact is broken
    assert not any((await tables(connection)).values())


def expected(facts: list[InboundFact]) -> Tables:
    """The tables as a plain reading of the history gives them."""
    bindings: dict[str, tuple[str, datetime]] = {}
    pending: dict[str, tuple[str, str, datetime]] = {}
    shares = []
    communities = set()
    for fact in facts:
        data = msgspec.json.decode(fact.value)
        at = datetime.fromisoformat(data["recorded_at"])
        if fact.topic == "content.events":
            shares.append((data["code"], "acme", data["sharer"], datetime.fromisoformat(data["occurred_at"]), at))
            continue
        person, join = data["person"], data["join"]
        if fact.type == "membership.member-joined.v1":
            communities.add((RUNNERS, "acme", "Asia/Shanghai", "CNY"))
            if data["referral"] == "bound":
                bindings.setdefault(person, (data["referrer"], at))
            elif data["referral"] == "pending":
                pending[join] = (person, join, at)
        else:
            pending.pop(join)
            if "referrer" in data:
                since = datetime.fromisoformat(data["joined_recorded_at"])
                bindings.setdefault(person, (data["referrer"], since))
    return {
        "communities": sorted(communities),
        "bindings": [("acme", person, *bindings[person]) for person in sorted(bindings)],
        "pending": sorted(pending.values()),
        "shares": sorted(shares),
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delivery=deliveries())
async def test_any_interleaving_of_lanes_gives_the_same_tables(
    connection: Any, delivery: tuple[list[InboundFact], list[list[LaneFacts]]]
) -> None:
    facts, batches = delivery
    await connection.execute("truncate communities, bindings, pending_joins, shares")
    for batch in batches:
        async with connection.transaction():
            await Replica().apply(connection, batch)
    assert await tables(connection) == expected(facts)


async def test_batches_that_share_communities_do_not_deadlock(dsn: str, connection: Any) -> None:
    """Rows are written in one order, whatever the order in which they were heard."""
    ids = [f"0193a5b0-7f6e-7c3a-9d53-{number:012d}" for number in range(3000)]
    second = await asyncpg.connect(dsn)
    try:
        forth = [joined("bo", community=id) for id in ids]
        back = [joined("cy", community=id) for id in reversed(ids)]
        await asyncio.wait_for(asyncio.gather(hear(connection, *forth), hear(second, *back)), 20)
    finally:
        await second.close()
    assert await connection.fetchval("select count(*) from communities") == 3000
