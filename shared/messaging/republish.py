"""Fill a topic again that the log has lost, from the facts, with the ids and positions they had."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import msgspec

from shared.commands.recorded import Message, Recorded
from shared.messaging import epochs, outbox
from shared.messaging.cloudevents import envelope, record_headers
from shared.messaging.log import Log, Outgoing, Publisher, TopicPartition
from shared.messaging.relay import SEND_SECONDS
from shared.position import START

LOCK_SECONDS = 30.0
ROUND_ROWS = 2000

_FACTS = """
select epoch, transaction_id::text::bigint as transaction_id, sequence, partition,
       type, data::text, stream_id, version, event_id::text, occurred_at, recorded_at
  from events
 where partition is not null
   and (epoch, transaction_id, sequence) <= ($1, $2::text::xid8, $3)
 order by events.epoch, events.transaction_id, events.sequence
"""


async def republish(
    dsn: str,
    log: Log,
    *,
    service: str,
    topic: str,
    partitions: int,
    decode: Callable[[str, str], Any],
    publish: Callable[[Recorded], Message | None],
) -> int:
    """Operator command after a topic was lost: send everything up to the relay's checkpoint once more.

    It takes the relay's place meanwhile. Readers then start the topic again from its first record
    (`shared.messaging.recovery.read_again`); by its position each knows what it has applied.

    Args:
        decode: reads a stored fact, given its type and data.
        publish: what leaves the house of a fact.

    Returns:
        The number of records sent.

    Raises:
        TimeoutError: a relay is at work and does not let go of its lock.
        LogUnavailable: the log does not answer; nothing is spoilt, begin again.
    """
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=600)
    try:
        async with asyncio.timeout(LOCK_SECONDS):
            while not await outbox.try_lock(connection, topic):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        await log.create_topics([topic], partitions=partitions)
        publisher = await log.publisher()
        try:
            return await _send_all(connection, publisher, service, topic, decode, publish)
        finally:
            await publisher.close()
    finally:
        await connection.close(timeout=5)


async def _send_all(
    connection: "asyncpg.Connection[Any]",
    publisher: Publisher,
    service: str,
    topic: str,
    decode: Callable[[str, str], Any],
    publish: Callable[[Recorded], Message | None],
) -> int:
    checkpoint, _ = await outbox.checkpoint(connection, topic)
    last_positions: dict[int, str] = {}
    sent = 0
    # Read only: a transaction without an id holds nobody back, however long it takes.
    async with connection.transaction(readonly=True):
        facts = await connection.cursor(_FACTS, checkpoint.epoch, str(checkpoint.transaction_id), checkpoint.sequence)
        while rows := await facts.fetch(ROUND_ROWS):
            batches: dict[TopicPartition, list[Outgoing]] = {}
            for row in rows:
                epoch, transaction_id, sequence, partition, type_name, data, stream, version, event_id, *times = row
                if type_name == epochs.RAISED:
                    fact = Recorded(stream, version, event_id, None, *times)
                    message = epochs.message_of(service, epoch, fact.recorded_at)
                else:
                    fact = Recorded(stream, version, event_id, decode(type_name, data), *times)
                    message = _published(fact, type_name, publish)
                position = f"{epoch}-{transaction_id}-{sequence}"
                headers = record_headers(
                    envelope(service, fact, message, None),
                    position=position,
                    previous=last_positions.get(partition, str(START)),
                )
                last_positions[partition] = position
                batches.setdefault(TopicPartition(topic, partition), []).append(
                    Outgoing(message.key.encode(), headers, msgspec.json.encode(message.data))
                )
            await publisher.send(batches, timeout_seconds=SEND_SECONDS)
            sent += len(rows)
    return sent


def _published(fact: Recorded, type_name: str, publish: Callable[[Recorded], Message | None]) -> Message:
    message = publish(fact)
    if message is None:
        raise ValueError(f"{type_name} {fact.event_id} was published, and is mapped to no message any more")
    return message
