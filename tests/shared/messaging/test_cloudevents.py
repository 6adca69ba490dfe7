"""A foreign reader understands our envelope: the CloudEvents project's own package reads what the relay wrote."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import msgspec
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from shared.commands.recorded import Message, Recorded
from shared.database import open_writer
from shared.messaging.cloudevents import envelope, timestamp
from shared.messaging.log import Log, TopicPartition
from shared.messaging.relay import Relay
from tests.support.relaying import running, until


class Joined(msgspec.Struct):
    community: str
    person: str


TRACEPARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-00"
FACT = Recorded(
    stream_id="member/1",
    version=1,
    event_id="01a2b3c4-0000-7000-8000-000000000001",
    event=None,
    occurred_at=datetime(2026, 3, 1, 13, 0, 0, 7, tzinfo=timezone(timedelta(hours=1))),
    recorded_at=datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC),
)
MESSAGE = Message(type="membership.member-joined.v1", key="名", subject="member/1", data=Joined("c1", "名"))


def test_the_envelope_in_its_order() -> None:
    assert list(envelope("membership", FACT, MESSAGE, TRACEPARENT).items()) == [
        ("ce_specversion", "1.0"),
        ("ce_id", "01a2b3c4-0000-7000-8000-000000000001"),
        ("ce_type", "membership.member-joined.v1"),
        ("ce_source", "/membership"),
        ("ce_subject", "member/1"),
        ("ce_time", "2026-03-01T12:00:00.000007Z"),
        ("ce_dataschema", "/membership/schemas/member-joined.v1.schema.json"),
        ("content-type", "application/json"),
        ("traceparent", TRACEPARENT),
    ]
    assert "traceparent" not in envelope("membership", FACT, MESSAGE, None)


def test_times_are_utc_with_microseconds() -> None:
    assert timestamp(datetime(2026, 3, 1, tzinfo=UTC)) == "2026-03-01T00:00:00.000000Z"


async def test_the_cloudevents_package_reads_a_record(
    kernel_database: str, log: Log, unique: Callable[[str], str]
) -> None:
    topic = unique("membership.events")
    pool = await open_writer(kernel_database, name="cloudevents-test", size=2)
    await pool.execute(
        """
        insert into outbox (epoch, transaction_id, sequence, topic, partition, key, headers, value)
        select epoch, pg_current_xact_id(), nextval('position_sequence'), $1, 0, $2, $3::text::jsonb, $4
          from database_epoch
        """,
        topic,
        MESSAGE.key,
        msgspec.json.encode(envelope("membership", FACT, MESSAGE, None)).decode(),
        msgspec.json.encode(MESSAGE.data),
    )
    where = TopicPartition(topic, 0)
    relay = Relay(kernel_database, log, service="membership", topic=topic, partitions=1)
    async with running(relay):
        await until(lambda: arrived(log, where))
    await pool.close()

    [record] = await log.read(where, offset=0, max_records=10)
    event = from_kafka(
        KafkaMessage(headers=dict(record.headers), key=(record.key or b"").decode(), value=record.value or b""),
        JSONFormat(),
        CloudEvent,
    )
    assert event.get_id() == FACT.event_id
    assert event.get_type() == "membership.member-joined.v1"
    assert event.get_source() == "/membership"
    assert event.get_subject() == "member/1"
    assert event.get_time() == FACT.occurred_at
    assert event.get_dataschema() == "/membership/schemas/member-joined.v1.schema.json"
    assert event.get_datacontenttype() == "application/json"
    assert event.get_data() == {"community": "c1", "person": "名"}
    assert str(event.get_extension("position")).startswith("1-")
    assert event.get_extension("previous") == "0-0-0"


async def arrived(log: Log, where: TopicPartition) -> bool:
    return (await log.end_offsets(where.topic)).get(where.partition) == 1
