"""Membership's copy of share codes: the same whatever the order in which lanes are heard, and however often."""

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.membership.definition import MEMBERSHIP
from services.membership.inbound import CONTENT_SHARED
from services.membership.replica import ShareCodes
from shared.messaging.facts import InboundFact, LaneFacts, Poison
from shared.partitioning import partition_of
from tests.membership.content import PARTITIONS, SHARE, SHARED_AT, shared
from tests.membership.facts import RUNNERS
from tests.support.databases import Databases


@pytest.fixture
async def connection(databases: Databases, anyio_backend: str) -> AsyncIterator[Any]:
    async with databases.fresh(template=await databases.template(*MEMBERSHIP.migrations)) as dsn:
        opened = await asyncpg.connect(dsn)
        yield opened
        await opened.close()


def heard(code: str, sharer: str, **changes: Any) -> InboundFact:
    return InboundFact(
        topic="content.events",
        partition=partition_of(sharer, PARTITIONS),
        offset=0,
        key=sharer,
        type=CONTENT_SHARED,
        event_id=SHARE,
        position="1-1-1",
        traceparent=None,
        value=msgspec.json.encode({**shared(code, sharer), **changes}),
    )


async def hear(connection: Any, *facts: InboundFact) -> None:
    lanes: dict[int, LaneFacts] = {}
    for fact in facts:
        lanes.setdefault(fact.partition, LaneFacts(fact.partition, [])).facts.append(fact)
    async with connection.transaction():
        await ShareCodes().apply(connection, [lanes[lane] for lane in sorted(lanes)])


async def codes(connection: Any) -> list[tuple[Any, ...]]:
    query = "select code, organization, community::text, sharer, recorded_at from share_codes order by code"
    return [tuple(row) for row in await connection.fetch(query)]


async def test_a_code_is_known_with_its_owner(connection: Any) -> None:
    await hear(connection, heard("7H3K9QWX", "cy"), heard("2Q8ZM4TC", "di"))
    await hear(connection, heard("7H3K9QWX", "cy"))
    assert await codes(connection) == [
        ("2Q8ZM4TC", "acme", RUNNERS, "di", SHARED_AT),
        ("7H3K9QWX", "acme", RUNNERS, "cy", SHARED_AT),
    ]


async def test_what_cannot_be_read_is_poison_and_writes_nothing(connection: Any) -> None:
    broken = heard("7H3K9QWX", "cy", recorded_at="2026-03-01T12:00:00")
    with pytest.raises(Poison) as poison:
        await hear(connection, heard("2Q8ZM4TC", "di"), broken)
    assert poison.value.fact is broken
    assert await codes(connection) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations([(f"0000000{number}", f"p{number}") for number in range(8)]),
    cuts=st.lists(st.integers(1, 7), max_size=3),
)
async def test_any_order_and_any_batches_give_the_same_rows(
    connection: Any, order: list[tuple[str, str]], cuts: list[int]
) -> None:
    await connection.execute("truncate share_codes")
    facts = [heard(*shared) for shared in order]
    edges = [0, *sorted(cuts), len(facts)]
    for first, last in pairwise(edges):
        if facts[first:last]:
            await hear(connection, *facts[first:last])
    assert [(code, sharer) for code, _, _, sharer, _ in await codes(connection)] == sorted(order)
