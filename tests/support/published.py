"""What stands on Kafka, held to what the services declare: every record of their topics, its key, headers and value."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from jsonschema_rs import Draft202012Validator

from deploy.local.kafka import EmbeddedKafka
from deploy.local.run import SERVICES
from shared.contracts import file_name
from shared.messaging.epochs import RAISED
from shared.partitioning import partition_of

READ_SECONDS = 60.0
WATERMARK = "watermark"
"""The one message that is no CloudEvent: it has no type in its headers, and no schema file of its own."""

Topics: TypeAlias = dict[str, list[list[ConsumerRecord]]]
"""Of each topic, each partition's records in their order."""


@dataclass(frozen=True)
class DeclaredMessage:
    """A message of an AsyncAPI document.

    Attributes:
        key: what the key must be; None: any person or id.
        headers, value: check them; a header or field that is not declared is refused as well.
    """

    name: str
    key: str | None
    headers: Draft202012Validator
    value: Draft202012Validator


@cache
def declared() -> Mapping[str, Mapping[str, DeclaredMessage]]:
    """Of every topic of every service, its messages by name, as the AsyncAPI documents have them.

    The schema of a value is the committed file, to which `ce_dataschema` leads.
    """
    found = {}
    for service in SERVICES:
        document = service.asyncapi(partitions=1)
        for channel in document["channels"].values():
            messages = [document["components"]["messages"][name] for name in channel["messages"]]
            own = [_declared(message, service.folder / "contracts") for message in messages]
            found[channel["address"]] = {message.name: message for message in own}
    return found


def every_declared_message() -> set[tuple[str, str]]:
    """(topic, name) of every message that the services say they publish."""
    return {(topic, name) for topic, messages in declared().items() for name in messages}


def only_after_a_restore(message: tuple[str, str]) -> bool:
    """Whether this message, (topic, name), tells of what a restore has undone."""
    _, name = message
    return name.endswith(f".{RAISED}") or name == "scoring.commission-voided.v1"


def name_of(record: ConsumerRecord) -> str:
    """What message a record says it is."""
    return dict(record.headers).get("ce_type", WATERMARK.encode()).decode()  # type: ignore[no-any-return]


def check(record: ConsumerRecord, *, partitions: int) -> tuple[str, str]:
    """Hold a record of a declared topic to its declaration.

    Args:
        partitions: how many its topic has.

    Returns:
        Topic and name of the message.

    Raises:
        AssertionError: it is not as declared; says where it stands and what is wrong.
    """
    place = f"{record.topic}/{record.partition} at {record.offset}"
    headers = {name: value.decode() for name, value in record.headers}
    assert len(headers) == len(record.headers), f"{place}: a header comes twice"
    messages = declared()[record.topic]
    name = name_of(record)
    assert name in messages, f"{place}: {name} is not declared"
    message, key = messages[name], record.key.decode()
    value = json.loads(record.value)
    wrong = [*message.headers.iter_errors(headers), *message.value.iter_errors(value)]
    assert not wrong, f"{place}, {name}: {wrong[0].message} in {wrong[0].instance_path}"
    assert message.key in (None, key), f"{place}, {name}: the key is {key}"
    everywhere = name.endswith(f".{RAISED}")
    assert everywhere or record.partition == partition_of(key, partitions), (
        f"{place}, {name}: not the partition of {key}"
    )
    return record.topic, name


async def read_declared_topics(bootstrap_servers: str) -> Topics:
    """All that stands on this Kafka in topics that the services declare."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, enable_auto_commit=False)
    await consumer.start()
    try:
        async with asyncio.timeout(READ_SECONDS):
            topics = sorted(await consumer.topics() & declared().keys())
            described = await _described(bootstrap_servers, topics) if topics else []
            found: Topics = {topic["topic"]: [[] for _ in topic["partitions"]] for topic in described}
            places = [TopicPartition(topic, number) for topic in topics for number in range(len(found[topic]))]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            for place in places:
                consumer.seek(place, 0)
            while [place for place in places if await consumer.position(place) < ends[place]]:
                for place, records in (await consumer.getmany(timeout_ms=200)).items():
                    found[place.topic][place.partition] += records
            return found
    finally:
        await consumer.stop()


async def _described(bootstrap_servers: str, topics: list[str]) -> list[Any]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        return list(await admin.describe_topics(topics))
    finally:
        await admin.close()


def every_record(topics: Topics) -> list[ConsumerRecord]:
    """All of them, partition by partition."""
    return [record for partitions in topics.values() for records in partitions for record in records]


def check_all(topics: Topics) -> Counter[tuple[str, str]]:
    """Hold all of it to its declarations; how many of each message there are."""
    return Counter(check(record, partitions=len(topics[record.topic])) for record in every_record(topics))


@contextmanager
def checked_kafka(folder: Path, *, heap: str = "384m") -> Iterator[EmbeddedKafka]:
    """A broker for tests. When they are done with it, all that stands in topics of the services is checked."""
    with EmbeddedKafka(folder, heap=heap) as broker:
        yield broker
        with ThreadPoolExecutor(1) as thread:  # a loop of its own, wherever the tests end
            topics = thread.submit(lambda: asyncio.run(read_declared_topics(broker.bootstrap_servers))).result()
        check_all(topics)


def _declared(message: Mapping[str, Any], contracts: Path) -> DeclaredMessage:
    name = message["name"]
    of_headers, of_value = message["headers"], message["payload"]
    if name != WATERMARK:
        file = contracts / file_name(name)
        of_value = of_value["schema"] if name.endswith(f".{RAISED}") else json.loads(file.read_text())
        assert of_headers["properties"]["ce_dataschema"]["const"] == of_value["$id"]
    key = message["bindings"]["kafka"]["key"].get("const")
    return DeclaredMessage(name, key, _validator(of_headers), _validator(of_value))


def _validator(schema: Any) -> Draft202012Validator:
    return Draft202012Validator(_closed(schema), validate_formats=True)


def _closed(schema: Any) -> Any:
    """The schema, taking no field that it does not name."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(one) for name, one in schema.items()}
    return {"additionalProperties": False, **closed} if "properties" in schema and "type" in schema else closed
