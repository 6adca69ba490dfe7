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

_UNTRACED = len(_ORDER) - 1 + 2
_PLACED = ("ce_id", "ce_type", "ce_position", "ce_previous")


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


def read_envelopes(records: Sequence[Record]) -> list[InboundFact]:
    """What the records of one partition say. To be read as soon as they are fetched: the client's records are many
    objects each, and if thousands of them wait, memory and the collector of cycles are what takes the time.
    """
    facts = []
    last, last_text = b"", ""
    types: dict[bytes, str] = {}
    for record in records:
        event_id, kind, trace, position, previous = _read_headers(record.headers)
        previous_text = last_text if previous == last else previous.decode("utf-8", "replace")
        last, last_text = position, position.decode("utf-8", "replace")
        if (type_name := types.get(kind)) is None:
            type_name = types[kind] = kind.decode("utf-8", "replace")
        facts.append(
            InboundFact(
                record.topic,
                record.partition,
                record.offset,
                (record.key or b"").decode("utf-8", "replace"),
                type_name,
                event_id.decode("utf-8", "replace"),
                last_text,
                trace.decode("utf-8", "replace") if trace else None,
                record.value or b"",
                previous_text,
            )
        )
    return facts


def _read_headers(headers: Sequence[tuple[str, bytes]]) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """The values of id, type, trace, position and previous; empty where there is none. Kafka allows headers without a
    value."""
    if len(headers) == _UNTRACED:
        # As our relay writes them, nearly always: found by their places, in half the time.
        _, (id_name, event_id), (type_name, kind), *_, (position_name, position), (previous_name, previous) = headers
        if (
            (id_name, type_name, position_name, previous_name) == _PLACED
            and event_id
            and kind
            and position
            and previous
        ):
            return event_id, kind, b"", position, previous
    given = dict(headers).get
    return (
        given("ce_id") or b"",
        given("ce_type") or b"",
        given("traceparent") or b"",
        given("ce_position") or b"",
        given("ce_previous") or b"",
    )
