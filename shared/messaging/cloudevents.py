"""The envelope of a message: CloudEvents 1.0 in Kafka's binary mode, so that readers route on headers without parsing."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from shared.commands.recorded import Message, Recorded
from shared.messaging.facts import InboundFact
from shared.messaging.log import Record

_ORDER = (
    "ce_specversion",
    "ce_id",
    "ce_type",
    "ce_source",
    "ce_subject",
    "ce_time",
    "ce_dataschema",
    "content-type",
    "traceparent",
)
"""Of the headers in a record; jsonb does not keep one."""


def envelope(service: str, fact: Recorded, message: Message, traceparent: str | None) -> dict[str, str]:
    """The record's headers as they are known when the fact is written, in order. The relay adds position and previous."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": fact.event_id,
        "ce_type": message.type,
        "ce_source": f"/{service}",
        "ce_subject": message.subject,
        "ce_time": timestamp(fact.occurred_at),
        "ce_dataschema": f"/{service}/schemas/{message.type.removeprefix(service + '.')}.schema.json",
        "content-type": "application/json",
    }
    if traceparent is not None:
        headers["traceparent"] = traceparent
    return headers


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, as all times on the wire."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def record_headers(headers: Mapping[str, str], *, position: str, previous: str) -> list[tuple[str, bytes]]:
    """The headers of a record: the envelope in its order, then its own place and that of the record before."""
    ordered = [(name, headers[name].encode()) for name in _ORDER if name in headers]
    if len(ordered) < len(headers):
        ordered += [(name, value.encode()) for name, value in headers.items() if name not in _ORDER]
    ordered.append(("ce_position", position.encode()))
    ordered.append(("ce_previous", previous.encode()))
    return ordered


def fact_of(
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    headers: Sequence[tuple[str, bytes]],
    value: bytes | None,
) -> InboundFact:
    """What a record says. Kafka allows headers without a value."""
    given = dict(headers).get
    traceparent = given("traceparent")
    return InboundFact(
        topic,
        partition,
        offset,
        _text(key),
        _text(given("ce_type")),
        _text(given("ce_id")),
        _text(given("ce_position")),
        _text(traceparent) if traceparent else None,
        value or b"",
        _text(given("ce_previous")),
    )


def read_envelopes(records: Sequence[Record]) -> list[InboundFact]:
    """What the records of one partition say."""
    return [
        fact_of(record.topic, record.partition, record.offset, record.key, record.headers, record.value)
        for record in records
    ]


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
