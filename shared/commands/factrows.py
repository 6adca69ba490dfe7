"""A new fact as a row to append, with the message it is published as."""

from typing import Any

import msgspec

from shared.codec import Codec
from shared.commands.recorded import Recorded
from shared.commands.writing import Writing
from shared.eventstore import NewFact
from shared.messaging.cloudevents import envelope
from shared.partitioning import partition_of


def fact_row(
    writing: Writing,
    codec: Codec[Any],
    fact: Recorded,
    *,
    group: int = 0,
    command: int = 0,
    traceparent: str | None = None,
    cause: str | None = None,
) -> NewFact:
    """The row of a fact that a service writes.

    Args:
        group, command: which of a batch's it belongs to.
        traceparent: of what led to it.
        cause: see `shared.commands.cause.encode`.
    """
    message = writing.publish(fact)
    partition = key = headers = value = None
    if message is not None:
        partition, key = partition_of(message.key, writing.partitions), message.key
        headers = msgspec.json.encode(envelope(writing.service, fact, message, traceparent)).decode()
        value = msgspec.json.encode(message.data)
    return NewFact(
        group=group,
        command=command,
        stream_id=fact.stream_id,
        version=fact.version,
        event_id=fact.event_id,
        type=codec.type_of(fact.event),
        data=codec.encode(fact.event).decode(),
        occurred_at=fact.occurred_at,
        partition=partition,
        key=key,
        headers=headers,
        value=value,
        cause=cause,
    )
