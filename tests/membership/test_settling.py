"""Joins that wait for their share code are settled once, by the code or by the certainty that there was none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from services.membership.definition import MEMBERSHIP
from services.membership.settling import Settler
from shared.database import open_writer
from shared.lifecycle import running as tasks_running
from shared.messaging.local import LocalLog
from shared.messaging.relay import Relay
from shared.messaging.watermarks import WatermarkReader
from shared.roles import background_tasks, make_consumer
from tests.membership.acts import data_of, invited, joined, launched, reason, referral, rows
from tests.membership.content import Content, make_relay
from tests.support.databases import Databases
from tests.support.relaying import running, until
from tests.support.serving import Served
from tests.support.unsettled import until_waiting, watched

FIRST, SECOND = "7H3K9QWX", "2Q8ZM4TC"


@dataclass(frozen=True)
class World:
    """Membership served and listening, and content beside it; no relay runs unless a test starts it."""

    membership: Served
    content: Content
    log: LocalLog
    settler: Settler
    asked: list[None]

    def relay(self) -> Relay:
        """Membership's."""
        return make_relay("membership", self.membership.dsn, self.log, "content")

    @asynccontextmanager
    async def both_relays(self) -> AsyncIterator[None]:
        async with running(self.relay()), running(self.content.relay(self.log)):
            yield

    async def waiting(self) -> int:
        ((count,),) = await rows(self.membership, "select count(*) from deferred_joins")
        return int(count)

    async def settled(self) -> None:
        """Round after round until nothing waits."""

        async def done() -> bool:
            await self.settler.round()
            return await self.waiting() == 0

        await until(done)

    async def heard(self, code: str) -> None:
        """Membership knows the code."""

        async def known() -> bool:
            return bool(await rows(self.membership, "select from share_codes where code = $1", code))

        await until(known)

    async def rounds(self, count: int = 8) -> None:
        """Some rounds, with time for watermarks between them."""
        for _ in range(count):
            await self.settler.round()
            await asyncio.sleep(0.1)

    async def settlements(self) -> list[tuple[str, str, str]]:
        """`join` of each settled join, and what became of it, in commit order."""
        bound = await data_of(self.membership, "membership.referral-bound.v1")
        absent = await data_of(self.membership, "membership.referral-absent.v1")
        found = [(one["join"], "bound", one["referrer"]) for one in bound]
        found += [(one["join"], "absent", one["reason"]) for one in absent]
        joins = [join["join"] for join in await data_of(self.membership, "membership.member-joined.v1")]
        return sorted(found, key=lambda settled: joins.index(settled[0]))

    async def pending(self) -> list[str]:
        """`join` of every join that was pending, in commit order."""
        joins = await data_of(self.membership, "membership.member-joined.v1")
        return [join["join"] for join in joins if join["referral"] == "pending"]


@pytest.fixture
async def world(membership: Served, databases: Databases) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        kernel = await databases.kernel_template()
        log_dsn = await stack.enter_async_context(databases.fresh())
        content_dsn = await stack.enter_async_context(databases.fresh(template=kernel))
        log = await LocalLog.open(log_dsn)
        stack.push_async_callback(log.close)
        pool = await open_writer(content_dsn, name="content", size=2)
        stack.push_async_callback(pool.close)
        await log.create_topics(["content.events", "membership.events"], partitions=12)
        topics = ["content.watermarks", "membership.watermarks"]
        await log.create_topics(topics, partitions=1, compacted=True)
        asked: list[None] = []
        reader = WatermarkReader(log, ["content", "membership"], asked=lambda: asked.append(None))
        served = membership.kernel
        consumer = make_consumer(MEMBERSHIP, served.settings, served.writer, log, advanced=served.passed.advanced)
        await stack.enter_async_context(tasks_running({"consumer": consumer.run}))
        yield World(membership, Content(content_dsn, pool), log, Settler(served, reader), asked)


async def test_a_known_code_binds_at_the_join(world: World) -> None:
    ana, bo = world.membership.person("ana"), world.membership.person("bo")
    community = await launched(ana)
    async with running(world.content.relay(world.log)):
        await world.content.share(FIRST, "cy")
        await world.heard(FIRST)
    await joined(bo, community, share_code=FIRST.lower())
    *_, join = await data_of(world.membership, "membership.member-joined.v1")
    assert (join["share_code"], join["inviter"], join["referral"], join["referrer"]) == (FIRST, "cy", "bound", "cy")
    assert await referral(bo, "bo") == ("bound", "cy")


async def test_a_token_of_content_makes_the_join_wait_for_the_code(world: World) -> None:
    ana, bo = world.membership.person("ana"), world.membership.person("bo")
    community = await launched(ana)
    token = await world.content.share(FIRST, "ana")
    late = await bo.post(f"{community}/members", {"share_code": FIRST}, Consistency_Token=token)
    assert reason(late) == (503, "not-caught-up")
    async with running(world.content.relay(world.log)):
        answer = await bo.post(f"{community}/members", {"share_code": FIRST}, Consistency_Token=token)
    assert answer.status_code == 201
    assert await referral(bo, "bo") == ("bound", "ana")


async def test_a_code_that_never_was_is_absent_once_content_has_surely_not_made_it(world: World) -> None:
    ana, bo = world.membership.person("ana"), world.membership.person("bo")
    community = await launched(ana)
    await joined(bo, community, share_code=FIRST)
    assert await referral(bo, "bo") == ("pending", None)
    (join,) = await world.pending()
    async with world.both_relays():
        await world.settled()
    assert await world.settlements() == [(join, "absent", "code-unknown")]
    assert await referral(bo, "bo") == ("none", None)
    (message,) = await data_of(world.membership, "membership.referral-absent.v1")
    assert (message["person"], message["organization"], message["zone"]) == ("bo", "acme", "Asia/Shanghai")
    # The next inviter still can bind.
    other = await launched(ana)
    await joined(bo, other, invitation=await invited(ana, other))
    assert await referral(bo, "bo") == ("bound", "ana")


async def test_metrics_say_how_many_joins_wait_and_for_how_long(world: World) -> None:
    ana, bo = world.membership.person("ana"), world.membership.person("bo")
    community = await launched(ana)
    await joined(bo, community, share_code=FIRST)
    async with watched(MEMBERSHIP, world.membership):
        assert 0 < await until_waiting("membership", 1) < 60
    async with world.both_relays():
        await world.settled()
    async with watched(MEMBERSHIP, world.membership):
        assert await until_waiting("membership", 0) == 0


async def test_nothing_is_concluded_while_a_relay_stands_still(world: World) -> None:
    """The code was made before the join, but content's relay has not told; then membership's has not."""
    ana, bo = world.membership.person("ana"), world.membership.person("bo")
    community = await launched(ana)
    async with running(world.content.relay(world.log)):
        await world.content.share(SECOND, "di")
        await world.heard(SECOND)
    await world.content.share(FIRST, "cy")
    await joined(bo, community, share_code=FIRST)
    async with running(world.relay()):
        await world.rounds()
        assert await world.waiting() == 1
    async with world.both_relays():
        await world.settled()
    (join,) = await world.pending()
    assert await world.settlements() == [(join, "bound", "cy")]
    (message,) = await data_of(world.membership, "membership.referral-bound.v1")
    *_, joining = await data_of(world.membership, "membership.member-joined.v1")
    assert message["joined_recorded_at"] == joining["recorded_at"] < message["recorded_at"]

    await joined(world.membership.person("ed"), community, share_code="00000000")
    async with running(world.content.relay(world.log)):
        await world.rounds()
        assert await world.waiting() == 1, "no watermark of membership covers the join"


async def test_a_code_that_became_known_settles_without_any_watermark(world: World) -> None:
    ana, bo = world.membership.person("ana"), world.membership.person("bo")
    community = await launched(ana)
    await joined(bo, community, share_code=FIRST)
    async with running(world.content.relay(world.log, watermark_seconds=None)):
        await world.content.share(FIRST, "cy")
        await world.heard(FIRST)
    await world.settler.round()
    assert await referral(bo, "bo") == ("bound", "cy")


async def test_joins_of_a_person_are_settled_together_in_commit_order(world: World) -> None:
    ana, bo = world.membership.person("ana"), world.membership.person("bo")
    homes = [await launched(ana) for _ in range(4)]
    await joined(bo, homes[0], share_code=FIRST)
    await joined(bo, homes[1], invitation=await invited(ana, homes[1]))
    await joined(bo, homes[2], share_code=SECOND)
    await joined(bo, homes[3])
    joins = await world.pending()
    assert len(joins) == 4
    async with running(world.content.relay(world.log, watermark_seconds=None)):
        await world.content.share(SECOND, "cy")
        await world.heard(SECOND)
    await world.rounds(2)
    assert await world.settlements() == [], "the first code is not known yet, and it may bind"
    async with world.both_relays():
        await world.settled()
    assert await world.settlements() == [
        (joins[0], "absent", "code-unknown"),
        (joins[1], "bound", "ana"),
        (joins[2], "absent", "bound-already"),
        (joins[3], "absent", "bound-already"),
    ]
    committed = await rows(
        world.membership,
        "select count(distinct transaction_id) from events where type like 'referral-%nt.v1'"
        " or type = 'referral-bound.v1'",
    )
    assert committed == [(1,)], "one command settles them"


async def test_the_own_code_and_a_loop_bind_nobody(world: World) -> None:
    ana, bo, cy = (world.membership.person(name) for name in ("ana", "bo", "cy"))
    homes = [await launched(person) for person in (ana, bo)]
    await joined(bo, homes[0], share_code=FIRST)
    await joined(cy, homes[1], invitation=await invited(bo, homes[1]))
    await joined(bo, await launched(ana), share_code=SECOND)
    async with world.both_relays():
        await world.content.share(FIRST, "bo")
        await world.content.share(SECOND, "cy")
        await world.settled()
    assert [outcome for _, *outcome in await world.settlements()] == [["absent", "own-code"], ["absent", "loop"]]
    assert await referral(cy, "cy") == ("bound", "bo")
    assert await referral(bo, "bo") == ("none", None)


async def test_a_code_of_another_organization_is_no_code(world: World) -> None:
    ana, bo = world.membership.person("ana"), world.membership.person("bo")
    community = await launched(ana)
    async with world.both_relays():
        await world.content.share(FIRST, "eve", "umbrella")
        await world.heard(FIRST)
        await joined(bo, community, share_code=FIRST)
        await world.settled()
    assert [outcome for _, *outcome in await world.settlements()] == [["absent", "code-unknown"]]


async def test_nothing_is_concluded_while_a_share_is_parked(world: World) -> None:
    ana, bo = world.membership.person("ana"), world.membership.person("bo")
    await joined(bo, await launched(ana), share_code=FIRST)
    pool = world.membership.kernel.writer
    await pool.execute(
        "insert into dead_letters (consumer, lane, key, topic, log_offset, epoch, transaction_id, sequence, type,"
        " event_id, value, reason) values ('membership', 5, 'cy', 'content.events', 4, 1, 9, 1,"
        " 'content.content-shared.v1', 'e', '{}', 'broken')"
    )
    async with world.both_relays():
        await world.rounds()
        assert await world.waiting() == 1
        await pool.execute("delete from dead_letters")
        await world.settled()


async def test_watermarks_are_asked_for_only_while_something_waits(world: World) -> None:
    await world.settler.round()
    assert world.asked == []
    await joined(world.membership.person("bo"), await launched(world.membership.person("ana")), share_code=FIRST)
    await world.settler.round()
    assert len(world.asked) == 1


async def test_many_joins_are_settled_page_by_page_by_two_settlers_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.membership.settling.PAGE_PEOPLE", 7)
    community = await launched(world.membership.person("ana"))
    people = [f"p{number}" for number in range(40)]
    for number, person in enumerate(people):
        await joined(world.membership.person(person), community, share_code=FIRST if number % 2 else SECOND)
    second = Settler(world.membership.kernel, WatermarkReader(world.log, ["content", "membership"]))
    async with world.both_relays():
        await world.content.share(FIRST, "cy")
        await world.heard(FIRST)
        await asyncio.gather(world.settler.round(), second.round())
        left = await rows(world.membership, "select from deferred_joins where share_code = $1", FIRST)
        assert not left, "known codes do not wait for those that are not"
        await asyncio.gather(world.settled(), until_none(world, second))
    settled = await world.settlements()
    assert len(settled) == len({join for join, *_ in settled}) == 40


async def until_none(world: World, settler: Settler) -> None:
    while await world.waiting():
        await settler.round()


async def test_the_service_settles_by_itself(world: World) -> None:
    ana, bo = world.membership.person("ana"), world.membership.person("bo")
    await joined(bo, await launched(ana), share_code=FIRST)

    async def settled() -> bool:
        return await referral(bo, "bo") == ("none", None)

    tasks: dict[str, Any] = background_tasks(world.membership.kernel, world.log)
    assert set(tasks) == {"membership referral settler"}
    async with world.both_relays(), tasks_running(tasks):
        await until(settled)
