"""The runbook of restores and lost topics (docs/restore.md), played with its own commands on all services."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres
from shared.commands.recorded import Recorded
from shared.messaging.cloudevents import read_envelopes
from shared.messaging.epochs import RAISED
from shared.messaging.facts import InboundFact, LaneFacts
from shared.messaging.log import Log, TopicPartition
from shared.position import Position
from tests.oracle.oracle import score
from tests.oracle.projected import plain, read
from tests.scoring.feeder import Feeder
from tests.scoring.tables import tables
from tests.support.databases import Databases
from tests.support.published import check_all, read_declared_topics
from tests.system.town import DEFINITIONS, READERS, Town, town

MOVED_ON = ("journal", "published", "communities")
"""What tells of void facts still, or of when something was published."""


async def survived(place: Town, services: Sequence[str]) -> list[InboundFact]:
    """The messages of all facts that these services' databases hold now, worked out from these alone."""
    facts: list[InboundFact] = []
    for service in services:
        definition = DEFINITIONS[service]
        connection = await place.connect(service)
        rows = await connection.fetch(
            """
            select type, data::text, stream_id, version, event_id::text, occurred_at, recorded_at, partition
              from events
             where partition is not null and type <> $1
             order by epoch, transaction_id, sequence
            """,
            RAISED,
        )
        await connection.close()
        for type_name, data, stream, version, event_id, occurred_at, recorded_at, partition in rows:
            event = definition.decode(type_name, data)
            message = definition.publish(Recorded(stream, version, event_id, event, occurred_at, recorded_at))
            assert message is not None
            value = msgspec.json.encode(message.data)
            facts.append(
                InboundFact(
                    definition.topic, partition, len(facts), message.key, message.type, event_id, "", None, value
                )
            )
    return facts


async def rows_of(connection: Any, table: str) -> list[str]:
    return [row for (row,) in await connection.fetch(f"select to_jsonb(t)::text from {table} as t order by 1")]


async def check_replicas(place: Town, databases: Databases) -> None:
    """Every replica is what its projection makes of the surviving facts, on an empty database."""
    for service in ("membership", "content", "campaigns"):
        definition = DEFINITIONS[service]
        assert definition.projection is not None
        projection = definition.projection(place.settings[service])
        heard = [topic.removesuffix(".events") for topic in projection.topics]
        facts = [fact for fact in await survived(place, heard) if fact.type in projection.types]
        lanes = [LaneFacts(lane, [fact for fact in facts if fact.partition == lane]) for lane in range(12)]
        served = await place.connect(service)
        async with databases.fresh(template=await databases.template(*definition.migrations)) as dsn:
            fresh = await asyncpg.connect(dsn)
            async with fresh.transaction():
                await projection.apply(fresh, [lane for lane in lanes if lane.facts])
            for table in definition.replica:
                assert await rows_of(served, table) == await rows_of(fresh, table), f"{service}.{table}"
            await fresh.close()
        await served.close()


async def check_scores(place: Town, databases: Databases) -> None:
    """Scores are what an empty database makes of the surviving facts, and what the rules say; and so is what was published."""
    scoring = DEFINITIONS["scoring"]
    assert scoring.projection is not None
    types = scoring.projection(place.settings["scoring"]).types
    facts = [fact for fact in await survived(place, ("membership", "content", "campaigns")) if fact.type in types]
    served = await place.connect("scoring")
    async with databases.fresh(template=await databases.template(*scoring.migrations)) as dsn:
        fresh = await asyncpg.connect(dsn)
        await Feeder(fresh).apply(facts)
        expected, found = await tables(fresh), await tables(served)
        for table in expected.keys() - MOVED_ON:
            assert found[table] == expected[table], table
        await fresh.close()
    scores, rules = (await read(served)).without_zeros(), score([plain(fact) for fact in facts]).without_zeros()
    assert (scores.points, scores.day_scores, scores.earned) == (rules.points, rules.day_scores, rules.earned)
    assert scores.commission == rules.commission
    entries = await served.fetch("select entry::text, person, amount from commission_entries")
    await served.close()
    assert await owed(place.log) == {entry: (person, amount) for entry, person, amount in entries}
    assert entries


async def owed(log: Log) -> dict[str, tuple[str, int]]:
    """Commission by entry, as who reads `scoring.events` comes to it. An entry's facts stand in one partition, in order."""
    entries: dict[str, tuple[str, int]] = {}
    for fact in valid(await everything(log, "scoring.events")):
        data = msgspec.json.decode(fact.value)
        if fact.type == "scoring.commission-booked.v1":
            assert data["entry"] not in entries, "booked twice"
            entries[data["entry"]] = (data["person"], data["amount_minor"])
        elif fact.type == "scoring.commission-voided.v1":
            assert entries.pop(data["entry"]) == (data["person"], data["amount_minor"])
    return entries


def valid(facts: Sequence[InboundFact]) -> list[InboundFact]:
    """Those that no restore has undone: where the epoch rises, what came after the predecessor that is named falls."""
    kept: dict[int, list[tuple[Position, InboundFact]]] = {}
    for fact in facts:
        position, previous = Position.parse(fact.position), Position.parse(fact.previous)
        own = kept.setdefault(fact.partition, [])
        while own and position.epoch > own[-1][0].epoch and own[-1][0] > previous:
            own.pop()
        own.append((position, fact))
    return [fact for own in kept.values() for _, fact in own]


async def everything(log: Log, topic: str) -> list[InboundFact]:
    """All facts of a topic, partition by partition, repeats left out."""
    facts: list[InboundFact] = []
    for partition, end in (await log.end_offsets(topic)).items():
        offset = 0
        while offset < end:
            records = await log.read(TopicPartition(topic, partition), offset=offset, max_records=1000)
            facts += read_envelopes(records)
            offset = records[-1].offset + 1
    return list({fact.position: fact for fact in reversed(facts)}.values())[::-1]


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("service", "kind"),
    [("content", "kafka"), ("campaigns", "kafka"), ("membership", "local"), ("scoring", "local")],
)
async def test_after_a_restore_everything_is_as_if_only_what_survived_had_happened(
    service: str,
    kind: str,
    postgres: EmbeddedPostgres,
    databases: Databases,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    kafka = request.getfixturevalue("private_kafka").bootstrap_servers if kind == "kafka" else None
    async with town(postgres, tmp_path, f"restore_{service}", kafka=kafka) as place:
        await place.join("ana", "bo")
        await place.quiet()
        await place.act("ana", "bo")
        await place.quiet()
        # Recorded before the backup, attributed after it; so it will be attributed once more.
        await place.stop("campaigns", "consume")
        code = await place.send(
            "content", "POST", f"/v1/communities/{place.community}/shares", "ana",
            {"target_kind": "community", "target": place.community, "channel": "sms"},
        )  # fmt: skip
        await place.buy("late", 44_400, code.json()["code"])
        await place.succeed("back-up", service=service)

        await place.start("campaigns", "consume")
        await place.join("cai", "dee")
        await place.quiet()
        await place.act("bo", "cai")
        await place.quiet()

        await place.stop(service)
        await place.succeed("restore", service=service)
        await place.start(service)
        await place.not_ready(service, "api", "the database was restored: raise its epoch")
        await place.not_ready(service, "relay", "raise its epoch")
        await place.stop(service)
        assert "epoch 2" in await place.succeed("raise", service=service)
        await place.start(service)
        await place.ready(service, "relay")
        await place.join("eve")
        await place.act("owner")
        for reader in READERS[service]:
            await place.not_ready(reader, "consume", "epoch 2 follows epoch 1")
        for reader in READERS[service]:
            said = await place.succeed("recover", service=service, reader=reader)
            assert "the rebuilt tables are the live ones now" in said
        for reader in READERS[service]:
            await place.ready(reader, "consume")
        await place.act("ana")
        await place.quiet()
        await check_replicas(place, databases)
        await check_scores(place, databases)
        if kafka:
            seen = check_all(await read_declared_topics(kafka))
            assert seen[f"{service}.events", f"{service}.epoch-raised.v1"] == 12
            assert service != "campaigns" or seen["scoring.events", "scoring.commission-voided.v1"]
        for reader in {"membership", "content", "campaigns", "scoring"}:
            code_of, said = await place.operate("recover", service=service, reader=reader)
            assert (code_of, "rows, 1" in said) == (0, False), said


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.timeout(600)
async def test_a_lost_topic_is_filled_as_it_was_and_nothing_is_folded_twice(
    postgres: EmbeddedPostgres, databases: Databases, private_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with town(postgres, tmp_path, "lost_topic", kafka=private_kafka.bootstrap_servers) as place:
        await place.join("ana", "bo")
        await place.quiet()
        await place.act("ana")
        await place.quiet()
        for service in DEFINITIONS:
            topic = f"{service}.events"
            before = await everything(place.log, topic)
            assert before
            await place.stop(service, "relay")
            await place.act("bo")  # what this service has to say of it waits in its outbox
            await place.succeed("delete", service=service)
            said = await place.succeed("republish", service=service)
            assert f"{len(before)} records published anew" in said
            assert [as_written(fact) for fact in await everything(place.log, topic)] == [
                as_written(fact) for fact in before
            ]
            await place.start(service, "relay")
            for reader in READERS[service]:
                await place.succeed("read-again", service=service, reader=reader)
            await place.quiet()
        await place.act("owner")
        await place.quiet()
        for service in DEFINITIONS:
            await place.ready(service, "consume")
        await check_replicas(place, databases)
        await check_scores(place, databases)


def as_written(fact: InboundFact) -> tuple[Any, ...]:
    return (fact.partition, fact.key, fact.type, fact.event_id, fact.position, fact.previous, fact.value)
