"""A topic that the log has lost is filled again as it was."""

from types import ModuleType
from typing import Any

import asyncpg
import msgspec
import pytest

from services.campaigns import events as campaigns_events
from services.campaigns.definition import CAMPAIGNS
from services.content import events as content_events
from services.content.definition import CONTENT
from services.membership import events as membership_events
from services.membership.definition import MEMBERSHIP
from services.scoring import events as scoring_events
from services.scoring.definition import SCORING
from shared.codec import Fact
from shared.commands.gateway import Gateway
from shared.database import open_writer
from shared.messaging import relay as relay_module
from shared.messaging.chain import Chain
from shared.messaging.cloudevents import read_envelopes
from shared.messaging.epochs import raise_epoch
from shared.messaging.local import LocalLog
from shared.messaging.log import Log, Record, TopicPartition
from shared.messaging.relay import Relay
from shared.messaging.republish import republish
from shared.service import Definition
from tests.support.databases import Databases
from tests.support.ledger import FOLD, READ_MODEL, WRITING, account, add, publish
from tests.support.relaying import running, until

TOPIC = WRITING.topic


async def everything(log: Log) -> dict[int, list[Record]]:
    return {
        partition: list(await log.read(TopicPartition(TOPIC, partition), offset=0, max_records=1000))
        for partition in await log.end_offsets(TOPIC)
    }


def as_written(
    found: dict[int, list[Record]],
) -> dict[int, list[tuple[bytes | None, list[tuple[str, bytes]], bytes | None]]]:
    return {
        partition: [(each.key, list(each.headers), each.value) for each in read] for partition, read in found.items()
    }


def make_relay(dsn: str, log: Log) -> Relay:
    return Relay(dsn, log, service=WRITING.service, topic=TOPIC, partitions=WRITING.partitions, keep_seconds=0)


async def add_to(dsn: str, *names: str) -> None:
    pool = await open_writer(dsn, name="republish-test", size=4)
    gateway = Gateway(pool, WRITING)
    for name in names:
        await gateway.run(add(account(name), 3))
    await gateway.close()
    await pool.close()


async def test_a_lost_topic_comes_back_with_its_ids_positions_and_chain(
    kernel_database: str, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "PRUNE_SECONDS", 0.05)
    monkeypatch.setattr(relay_module, "REFUSED_SECONDS", 0.1)
    connection = await asyncpg.connect(kernel_database)
    await connection.execute(READ_MODEL)
    names = [f"{number}" for number in range(40)]
    facts = 120 + WRITING.partitions
    async with databases.fresh() as first_dsn, databases.fresh() as second_dsn:
        lost, fresh = await LocalLog.open(first_dsn), await LocalLog.open(second_dsn)
        await add_to(kernel_database, *names, *names)
        async with running(make_relay(kernel_database, lost)):

            async def sent_and_pruned() -> bool:
                left: int = await connection.fetchval("select count(*) from outbox")
                return sum((await lost.end_offsets(TOPIC)).values()) == 80 and left <= WRITING.partitions

            await until(sent_and_pruned)
            await raise_epoch(kernel_database, lost, TOPIC, service=WRITING.service, partitions=WRITING.partitions)
            await add_to(kernel_database, *names)

            async def sent_of_both_epochs() -> bool:
                left: int = await connection.fetchval("select count(*) from outbox")
                return sum((await lost.end_offsets(TOPIC)).values()) == facts and left <= WRITING.partitions

            await until(sent_of_both_epochs)
        before = await everything(lost)
        await lost.close()
        await add_to(kernel_database, "committed while nothing relays")

        relay = make_relay(kernel_database, fresh)
        stopped = running(relay)
        await stopped.__aenter__()

        async def refused() -> bool:
            return any("Publish the topic anew" in reason for reason in relay.not_ready())

        await until(refused)
        await stopped.__aexit__(None, None, None)
        assert sum((await fresh.end_offsets(TOPIC)).values()) == 0

        sent = await republish(
            kernel_database,
            fresh,
            service=WRITING.service,
            topic=TOPIC,
            partitions=WRITING.partitions,
            decode=FOLD.codec.decode,
            publish=publish,
        )
        assert sent == facts
        assert as_written(await everything(fresh)) == as_written(before)

        async with running(make_relay(kernel_database, fresh)):

            async def relayed_on() -> bool:
                return sum((await fresh.end_offsets(TOPIC)).values()) == facts + 1

            await until(relayed_on)
        found_facts = 0
        for read in (await everything(fresh)).values():
            found, halt = Chain(accepted_epoch=2).read(read_envelopes(read), {"ledger.added.v1"})
            assert halt is None
            found_facts += len(found)
        assert found_facts == 121
        await fresh.close()
    await connection.close()


STORED = [
    (MEMBERSHIP, membership_events),
    (CONTENT, content_events),
    (CAMPAIGNS, campaigns_events),
    (SCORING, scoring_events),
]


@pytest.mark.parametrize(("definition", "events"), STORED)
def test_a_service_can_read_every_kind_of_fact_it_stores(definition: Definition[Any], events: ModuleType) -> None:
    tags = [
        kind.__struct_config__.tag
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, Fact) and kind.__struct_config__.tag is not None
    ]
    assert len(tags) >= 2
    for tag in tags:
        with pytest.raises(msgspec.ValidationError):
            definition.decode(str(tag), "{}")
    with pytest.raises(KeyError):
        definition.decode("unheard-of.v1", "{}")
