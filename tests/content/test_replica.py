"""Content's copy of membership: the same whatever the order in which lanes are heard."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.content.definition import CONTENT
from services.content.replica import Replica, Standings
from shared.messaging.facts import InboundFact, LaneFacts, Poison
from tests.content.facts import OWNER, RUNNERS, STRANGER
from tests.content.heard import granted, in_lanes, joined, left, of_community, revoked
from tests.support.databases import Databases

LANDING = "https://acme.example/join"
OTHERS = "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a11"


@pytest.fixture
async def dsn(databases: Databases, anyio_backend: str) -> AsyncIterator[str]:
    async with databases.fresh(template=await databases.template(*CONTENT.migrations)) as dsn:
        yield dsn


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


async def tables(connection: Any) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    communities = await connection.fetch(
        "select community::text, organization, status, zone, currency, landing_url from communities order by community"
    )
    members = await connection.fetch(
        "select community::text, person, active, roles from members order by community, person"
    )
    return [tuple(row) for row in communities], [tuple(row) for row in members]


def community(status: int, id: str = RUNNERS, landing_url: str | None = None) -> tuple[Any, ...]:
    return (id, "acme", status, "Asia/Shanghai", "CNY", landing_url)


async def test_a_community_is_known_from_whatever_is_heard_first(connection: Any) -> None:
    await hear(connection, joined("bo"))
    assert await tables(connection) == ([community(2)], [(RUNNERS, "bo", True, ["member"])])
    await hear(connection, of_community("community-founded"))
    await hear(connection, joined("ana", "owner", "member", status="draft"))
    assert await tables(connection) == (
        [community(2)],
        [(RUNNERS, "ana", True, ["owner", "member"]), (RUNNERS, "bo", True, ["member"])],
    )


async def test_a_status_rises_and_never_falls(connection: Any) -> None:
    await hear(connection, of_community("community-founded"))
    assert (await tables(connection))[0] == [community(1)]
    await hear(connection, of_community("community-launched"))
    assert (await tables(connection))[0] == [community(2)]
    await hear(connection, of_community("community-founded"))
    assert (await tables(connection))[0] == [community(2)]


async def test_the_last_a_person_did_holds(connection: Any) -> None:
    await hear(connection, joined("bo"), left("bo"))
    assert (await tables(connection))[1] == [(RUNNERS, "bo", False, [])]
    await hear(connection, joined("bo"))
    assert (await tables(connection))[1] == [(RUNNERS, "bo", True, ["member"])]


async def test_where_links_lead_is_learnt_from_whichever_message_says_so_first(connection: Any) -> None:
    founded, launched = (
        of_community(name, landing_url=LANDING) for name in ("community-founded", "community-launched")
    )
    for order in ([joined("bo"), founded], [founded, launched], [launched, joined("bo"), founded], [launched]):
        await connection.execute("truncate communities, members")
        for fact in order:
            await hear(connection, fact)
        status = 1 if order == [founded] else 2
        assert (await tables(connection))[0] == [community(status, landing_url=LANDING)]
        await connection.execute("truncate communities, members")
        await hear(connection, *order)
        assert (await tables(connection))[0] == [community(status, landing_url=LANDING)]


async def test_a_message_that_does_not_say_where_links_lead_takes_nothing_away(connection: Any) -> None:
    await hear(connection, of_community("community-founded", landing_url=LANDING))
    await hear(connection, of_community("community-launched"), joined("bo"))
    assert (await tables(connection))[0] == [community(2, landing_url=LANDING)]


async def test_roles_come_and_go(connection: Any) -> None:
    await hear(connection, joined("bo"), granted("bo", "admin", "admin", "member"))
    assert (await tables(connection))[1] == [(RUNNERS, "bo", True, ["admin", "member"])]
    await hear(connection, revoked("bo", "admin", "member"))
    assert (await tables(connection))[1] == [(RUNNERS, "bo", True, ["member"])]
    await hear(connection, granted("bo", "admin", "admin", "member"), left("bo"))
    assert (await tables(connection))[1] == [(RUNNERS, "bo", False, [])]


async def test_a_known_community_is_not_written_again(connection: Any) -> None:
    """Else every join would wait for every other lane's batch."""
    founded = of_community("community-founded", landing_url=LANDING)
    await hear(connection, joined("bo"), founded)
    before = await connection.fetchval("select xmin::text from communities")
    await hear(connection, joined("cy"), founded, granted("bo", "admin", "admin", "member"))
    assert await connection.fetchval("select xmin::text from communities") == before


async def test_what_cannot_be_read_is_poison_and_writes_nothing(connection: Any) -> None:
    broken = of_community("community-launched")
    broken.value = b'{"organization":"acme"}'
    with pytest.raises(Poison) as poison:
        await hear(connection, joined("bo"), broken)
    assert poison.value.fact is broken
    assert await tables(connection) == ([], [])


async def test_an_unknown_status_is_poison(connection: Any) -> None:
    with pytest.raises(Poison):
        await hear(connection, joined("bo", status="paused"))


async def test_standings_are_looked_up_together(connection: Any) -> None:
    await hear(connection, joined("ana", "owner", "member"), joined("bo"), left("bo"))
    found = await Standings().load(connection, {(RUNNERS, "ana"), (RUNNERS, "bo"), (RUNNERS, "cy"), (OTHERS, "ana")})
    assert found == {(RUNNERS, "ana"): OWNER, (RUNNERS, "bo"): STRANGER, (RUNNERS, "cy"): STRANGER}


async def test_a_look_up_assigns_no_transaction_id(connection: Any) -> None:
    await hear(connection, joined("bo"))
    async with connection.transaction():
        await Standings().load(connection, [(RUNNERS, "bo")])
        assert await connection.fetchval("select pg_current_xact_id_if_assigned()::text") is None


def history(acts: list[tuple[str, str, bool]]) -> list[InboundFact]:
    """What membership published: two communities founded and launched, then people coming and going, being made admins
    and no longer."""
    facts = []
    for id in (RUNNERS, OTHERS):
        facts += [
            of_community("community-founded", community=id, landing_url=LANDING),
            joined("ana", "owner", "member", status="draft", community=id),
            of_community("community-launched", community=id, landing_url=LANDING),
        ]
    members: dict[tuple[str, str], tuple[str, ...]] = {}
    for person, id, of_roles in acts:
        roles = members.get((person, id))
        if roles is None:
            members[person, id] = ("member",)
            facts.append(joined(person, community=id))
        elif not of_roles:
            del members[person, id]
            facts.append(left(person, community=id))
        elif "admin" in roles:
            members[person, id] = ("member",)
            facts.append(revoked(person, "admin", "member", community=id))
        else:
            members[person, id] = ("admin", "member")
            facts.append(granted(person, "admin", "admin", "member", community=id))
    return facts


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[InboundFact], list[list[LaneFacts]]]:
    """A history, and the batches in which lanes hear it: each lane in order, lanes in any order, split anywhere."""
    person, id = st.sampled_from([f"p{number}" for number in range(5)]), st.sampled_from([RUNNERS, OTHERS])
    facts = history(draw(st.lists(st.tuples(person, id, st.booleans()), max_size=25)))
    waiting = {lane.lane: list(lane.facts) for lane in in_lanes(facts)}
    batches = []
    while waiting:
        lanes = draw(st.lists(st.sampled_from(sorted(waiting)), min_size=1, max_size=3, unique=True))
        batch = []
        for lane in sorted(lanes):
            count = draw(st.integers(1, len(waiting[lane])))
            batch.append(LaneFacts(lane, waiting[lane][:count]))
            waiting[lane] = waiting[lane][count:]
            if not waiting[lane]:
                del waiting[lane]
        batches.append(batch)
    return facts, batches


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delivery=deliveries())
async def test_any_interleaving_of_lanes_gives_the_same_tables(
    connection: Any, delivery: tuple[list[InboundFact], list[list[LaneFacts]]]
) -> None:
    facts, batches = delivery
    members: dict[tuple[str, str], tuple[bool, list[str]]] = {
        (id, "ana"): (True, ["owner", "member"]) for id in (RUNNERS, OTHERS)
    }
    for fact in facts:
        data = msgspec.json.decode(fact.value)
        if fact.type == "membership.member-joined.v1" and data["person"] != "ana":
            members[data["community"], data["person"]] = (True, ["member"])
        elif fact.type == "membership.member-left.v1":
            members[data["community"], data["person"]] = (False, [])
        elif "role" in fact.type:
            members[data["community"], data["person"]] = (True, data["roles"])
    await connection.execute("truncate communities, members")
    for batch in batches:
        async with connection.transaction():
            await Replica().apply(connection, batch)
    assert await tables(connection) == (
        [community(2, RUNNERS, LANDING), community(2, OTHERS, LANDING)],
        [(*key, *members[key]) for key in sorted(members)],
    )


async def test_a_status_that_rises_meanwhile_is_not_lowered(dsn: str, connection: Any) -> None:
    """One lane has written "launched" and not committed when another, which cannot see it, writes "draft"."""
    second = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await Replica().apply(connection, in_lanes([of_community("community-launched")]))
            late = asyncio.create_task(hear(second, of_community("community-founded")))
            waiting = (
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            )
            async with asyncio.timeout(10):
                while not await connection.fetchval(waiting):
                    await asyncio.sleep(0.01)
        await asyncio.wait_for(late, 10)
    finally:
        await second.close()
    assert (await tables(connection))[0] == [community(2)]


async def test_batches_that_share_communities_do_not_deadlock(dsn: str, connection: Any) -> None:
    """Rows are written in one order, whatever the order in which they were heard."""
    ids = [f"0193a5b0-7f6e-7c3a-9d53-{number:012d}" for number in range(5000)]
    second = await asyncpg.connect(dsn)
    try:
        forth = [joined("bo", community=id) for id in ids]
        back = [joined("cy", community=id) for id in reversed(ids)]
        await asyncio.wait_for(asyncio.gather(hear(connection, *forth), hear(second, *back)), 20)
    finally:
        await second.close()
    assert await connection.fetchval("select count(*) from members where active") == 10_000
    assert await connection.fetchval("select count(*) from communities where status = 2") == 5000
