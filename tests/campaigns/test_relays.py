"""With the real relays, over both logs: purchases while a relay is stopped, and what the others hear of it."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from services.campaigns.definition import CAMPAIGNS
from services.campaigns.messages import TYPES
from shared.codec import Codec, Fact
from shared.commands.command import Answer, Command, Decision, Known, Stream
from shared.commands.gateway import Gateway
from shared.commands.recorded import Message, Recorded
from shared.commands.writing import Writing
from shared.database import open_writer
from shared.decider import Fold
from shared.lifecycle import running as tasks_running
from shared.messaging.facts import InboundFact
from shared.messaging.log import Log, TopicPartition
from shared.messaging.logs import open_log
from shared.messaging.relay import Relay
from shared.partitioning import partition_of
from shared.roles import background_tasks, consumer_tasks, make_consumer
from shared.service import open_kernel, projects_nothing
from shared.settings import Settings
from tests.campaigns.facts import CODE
from tests.campaigns.heard import LANES, absent, bound, founded, joined, shared
from tests.campaigns.stage import SERVICES, Chain
from tests.campaigns.test_api import ORDER
from tests.support.databases import Databases
from tests.support.relaying import running, until
from tests.support.serving import Served, serving

PURCHASES = "/v1/purchases"
MARGIN_SECONDS = 2.0


class Said(Fact, frozen=True, tag="said.v1"):
    """What another service publishes, said by hand. `recorded_at` is filled in when it is stored."""

    message: str
    key: str
    data: dict[str, Any]
    occurred_at: datetime


FOLD: Fold[None, Said] = Fold(
    initial=None, evolve=lambda state, _: state, codec=Codec[Said]([Said]), state_type=type(None)
)


def publish(recorded: Recorded) -> Message:
    said: Said = recorded.event
    at = dict.fromkeys(("occurred_at", "recorded_at"), recorded.recorded_at)
    return Message(said.message, said.key, "subject", said.data | at)


@dataclass
class Other:
    """Membership or content: a real event store, outbox and relay; what it says is said by the test."""

    name: str
    dsn: str
    gateway: Gateway

    async def say(self, fact: InboundFact) -> datetime:
        """Store and publish this message as of now; return when."""
        stream, at = Stream(str(uuid.uuid4()), FOLD), []

        def decide(known: Known) -> Decision:
            at.append(known.recorded_at)
            said = Said(
                message=fact.type, key=fact.key, data=msgspec.json.decode(fact.value), occurred_at=known.recorded_at
            )
            return Decision(Answer(204), {stream: [said]})

        await self.gateway.run(Command(decide, writes=(stream,)))
        return at[-1]


@dataclass
class World:
    """Campaigns, served and listening, and the two others; every relay is started by the test."""

    campaigns: Served
    log: Log
    others: dict[str, Other]

    @property
    def membership(self) -> Other:
        return self.others["membership"]

    @property
    def content(self) -> Other:
        return self.others["content"]

    def relay(self, service: str) -> Any:
        dsn = self.campaigns.dsn if service == "campaigns" else self.others[service].dsn
        return running(
            Relay(
                dsn,
                self.log,
                service=service,
                topic=f"{service}.events",
                partitions=LANES,
                watermark_seconds=0.1,
                watermarks_of=SERVICES,
            )
        )

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """The role `consume` of campaigns, on connections of its own."""
        async with open_kernel(CAMPAIGNS, self.campaigns.kernel.settings) as kernel:
            consumer = make_consumer(CAMPAIGNS, kernel.settings, kernel.writer, self.log)
            tasks = consumer_tasks(CAMPAIGNS, consumer, kernel.writer) | background_tasks(kernel, self.log)
            async with tasks_running(tasks):
                yield

    async def buy(self, **changes: Any) -> str:
        """Path of a new purchase; waits until the community is known."""
        shop = self.campaigns.machine("purchases:write")
        async with asyncio.timeout(40):
            while (answer := await shop.post(PURCHASES, {**ORDER, **changes})).status_code == 404:
                await asyncio.sleep(0.1)
        assert answer.status_code == 201, answer.text
        return f"{PURCHASES}/{answer.json()['id']}"

    async def refund(self, path: str, amount_minor: int) -> None:
        shop = self.campaigns.machine("purchases:write")
        answer = await shop.post(f"{path}/refunds", {"refund_id": "r-1", "amount_minor": amount_minor})
        assert answer.status_code == 201, answer.text

    async def chain(self, path: str) -> Chain | None:
        read = (await self.campaigns.machine("purchases:write").get(path)).json()
        links = [(link["level"], link["person"], link["by"]) for link in read["chain"]]
        return links if read["attribution"] == "attributed" else None

    async def attributed(self, path: str) -> Chain | None:
        """The chain, once it is fixed."""

        async def fixed() -> bool:
            return await self.chain(path) is not None

        await until(fixed, seconds=40)
        return await self.chain(path)

    async def published(self, buyer: str) -> list[Any]:
        """What campaigns published about a buyer, read as its messages."""
        where = TopicPartition("campaigns.events", partition_of(buyer, LANES))
        records = await self.log.read(where, offset=0, max_records=100)
        return [
            msgspec.json.decode(record.value or b"", type=TYPES[dict(record.headers)["ce_type"].decode()])
            for record in records
        ]


@pytest.fixture(
    params=[pytest.param("local", marks=pytest.mark.postgres), pytest.param("kafka", marks=pytest.mark.kafka)]
)
def log_settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Not async: only so may it ask for the one fixture that its kind needs."""
    if request.param == "local":
        return {"log": "local", "local_log_url": request.getfixturevalue("database")}
    return {"log": "kafka", "kafka_bootstrap_servers": request.getfixturevalue("private_kafka").bootstrap_servers}


@pytest.fixture
async def world(
    databases: Databases, log_settings: dict[str, Any], dsn: str, tmp_path: Path, anyio_backend: str
) -> AsyncIterator[World]:
    settings = Settings(mode="local", database_url=SecretStr(dsn), **log_settings)
    async with AsyncExitStack() as stack:
        log = await open_log(settings, client_id="tests")
        stack.push_async_callback(log.close)
        others = {}
        for name in ("membership", "content"):
            own = await stack.enter_async_context(databases.fresh(template=await databases.kernel_template()))
            pool = await open_writer(own, name=f"qunli {name}", size=4)
            stack.push_async_callback(pool.close)
            gateway = Gateway(pool, Writing(name, f"{name}.events", LANES, publish, projects_nothing))
            others[name] = Other(name, own, gateway)
        campaigns = await stack.enter_async_context(serving(CAMPAIGNS, dsn, tmp_path))
        yield World(campaigns, log, others)


@pytest.mark.timeout(180)
async def test_join_stop_the_relay_buy_refund_half_start_the_relay(world: World) -> None:
    """The join was answered before the purchase was sent, so it is never missed; the share as well."""
    async with world.relay("campaigns"):
        await world.membership.say(founded())
        async with world.relay("membership"), world.relay("content"), world.listening():
            await world.buy(order_id="first", buyer="zoe")
        # Nobody forwards what the others say from here on.
        await world.content.say(shared("ben", CODE))
        await world.membership.say(joined("cy", "anna"))
        await world.membership.say(joined("ben", "dan"))
        async with world.listening():
            by_code = await world.buy(order_id="o-1", share_code=CODE)
            by_binding = await world.buy(order_id="o-2")
            await world.refund(by_binding, 29_950)
            await asyncio.sleep(MARGIN_SECONDS + 1)
            assert (await world.chain(by_code), await world.chain(by_binding)) == (None, None)
        async with world.listening(), world.relay("membership"):
            assert await world.attributed(by_binding) == [(1, "anna", "binding")]
            assert await world.chain(by_code) is None
            async with world.relay("content"):
                assert await world.attributed(by_code) == [(1, "ben", "share_code"), (2, "dan", "binding")]
                await until(lambda: _as_many(world, "cy", 5))
    await check_published(world)


async def _as_many(world: World, buyer: str, count: int) -> bool:
    return len(await world.published(buyer)) >= count


async def check_published(world: World) -> None:
    """Five messages of cy in one partition, in the order of the facts."""
    messages = [
        (type(message).__name__, message.order_id) for message in await world.published("cy") if message.buyer == "cy"
    ]
    assert messages == [
        ("PurchaseRecorded", "o-1"),
        ("PurchaseRecorded", "o-2"),
        ("PurchaseRefunded", "o-2"),
        ("PurchaseAttributed", "o-2"),
        ("PurchaseAttributed", "o-1"),
    ]
    refunded, attributed = (await world.published("cy"))[2:4]
    assert (refunded.amount_minor, refunded.refunded_minor, refunded.paid_minor) == (29_950, 29_950, 59_900)
    assert [(link.level, link.person, link.by) for link in attributed.chain] == [(1, "anna", "binding")]


@pytest.mark.timeout(180)
async def test_nobody_is_credited_where_nobody_came_before_the_margin(world: World) -> None:
    """And a join that is pending is waited for."""
    await world.membership.say(founded())
    async with AsyncExitStack() as stack:
        for service in SERVICES:
            await stack.enter_async_context(world.relay(service))
        await stack.enter_async_context(world.listening())
        await world.buy(order_id="first", buyer="zoe")
        since = await world.membership.say(joined("ben", pending="1"))
        await world.membership.say(joined("dan", pending="2"))
        nobody = await world.buy(order_id="o-1", share_code=CODE)
        pending, none = await world.buy(order_id="o-2", buyer="ben"), await world.buy(order_id="o-3", buyer="dan")
        bought_at = asyncio.get_running_loop().time()
        assert await world.attributed(nobody) == []
        assert asyncio.get_running_loop().time() - bought_at > MARGIN_SECONDS - 0.5
        await world.membership.say(joined("cy", "anna"))
        assert (await world.chain(pending), await world.chain(none)) == (None, None)
        await world.membership.say(bound("ben", "1", "anna", since=since))
        await world.membership.say(absent("dan", "2"))
        assert await world.attributed(pending) == [(1, "anna", "binding")]
        assert await world.attributed(none) == []
        assert await world.chain(nobody) == []
        later = await world.buy(order_id="o-4")
        assert await world.attributed(later) == [(1, "anna", "binding")]


@pytest.mark.timeout(180)
async def test_a_join_that_takes_long_to_commit_is_not_missed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was recorded before the margin had passed, and committed long after: it counts, as it would for a slow replica."""
    from shared.commands import batch

    reached, go_on = asyncio.Event(), asyncio.Event()

    async def stop_there(point: str) -> None:
        if point == "gateway.before-append" and asyncio.current_task() is joining:
            reached.set()
            await go_on.wait()

    await world.membership.say(founded())
    async with AsyncExitStack() as stack:
        for service in SERVICES:
            await stack.enter_async_context(world.relay(service))
        await stack.enter_async_context(world.listening())
        await world.buy(order_id="first", buyer="zoe")
        monkeypatch.setattr(batch, "failpoint", stop_there)
        saying = asyncio.create_task(world.membership.say(joined("cy", "anna")))
        await asyncio.sleep(0)
        [joining] = world.membership.gateway._workers
        await asyncio.wait_for(reached.wait(), 10)
        path = await world.buy(order_id="o-1")
        await asyncio.sleep(MARGIN_SECONDS + 1)
        assert await world.chain(path) is None
        go_on.set()
        await saying
        assert await world.attributed(path) == [(1, "anna", "binding")]
