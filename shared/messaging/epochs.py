"""The epoch of a service's database: raised after a restore, so that positions rise although transaction ids do not.

The first fact of an epoch in a partition tells readers which facts were undone: those after its `previous`. So that no
partition waits for somebody to act before it tells, raising the epoch itself is a fact in each of them. Until it is raised,
a copy of a database takes no facts (shared/sql/0007_home.sql).
"""

from datetime import datetime
from typing import Annotated, Any

import asyncpg
import msgspec
import uuid_utils

from shared.commands.recorded import Message, Recorded
from shared.messaging.cloudevents import envelope
from shared.messaging.log import Log
from shared.messaging.vocabulary import RecordedAt
from shared.position import Position

RAISED = "epoch-raised.v1"
"""Type of the stored fact; with the service's name before it, of the message."""


class EpochRaised(msgspec.Struct, frozen=True):
    """The service's database was restored; every partition tells of it. Facts after the record's `ce_previous` whose epoch is
    lower are void. Key: the epoch."""

    epoch: Annotated[int, msgspec.Meta(ge=2)]
    recorded_at: RecordedAt


def message_of(service: str, epoch: int, recorded_at: datetime) -> Message:
    """What each partition is told."""
    stream = stream_of(epoch)
    return Message(f"{service}.{RAISED}", stream, stream, EpochRaised(epoch, recorded_at))


def stream_of(epoch: int) -> str:
    return f"epoch-{epoch}"


IS_COPY = "select exists (select from database_epoch where home <> this_database())"
"""Whether this database was restored, and its epoch not raised since."""

_APPEND = """
with fact as materialized (
    select *, pg_current_xact_id() as transaction_id, nextval('position_sequence') as sequence
      from unnest($5::smallint[], $6::uuid[], $7::text[]) as fact (partition, event_id, headers)
), stored as (
    insert into events (stream_id, version, event_id, type, data, occurred_at, recorded_at,
                        epoch, transaction_id, sequence, partition)
    select $3, partition + 1, event_id, $4, jsonb_build_object('epoch', $2::integer), $8, $8,
           $2, transaction_id, sequence, partition
      from fact
)
insert into outbox (epoch, transaction_id, sequence, topic, partition, key, headers, value)
select $2, transaction_id, sequence, $1, partition, $3, headers::jsonb, $9
  from fact
"""


async def raise_epoch(dsn: str, log: Log, topic: str, *, service: str, partitions: int) -> int:
    """Operator command after any restore: raise the epoch above that of the database and of all that stands in `topic`,
    and tell each of its partitions.

    Returns:
        The new epoch.

    Raises:
        LogUnavailable: the topic cannot be read.
        asyncpg.LockNotAvailableError: appends did not pause within ten seconds; try again.
    """
    highest = await highest_epoch(log, topic)
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction():
            await connection.execute("set local lock_timeout = '10s'")
            # An append reads `events` before it reads the epoch, so none can be under way with the old one: its rows
            # would come after the relay has gone on to the new epoch, and never be sent.
            await connection.execute("lock table events in access exclusive mode")
            epoch: int = await connection.fetchval(
                "update database_epoch set epoch = greatest(epoch, $1) + 1, home = this_database() returning epoch",
                highest,
            )
            await _tell(connection, service, topic, epoch, partitions)
            return epoch
    finally:
        await connection.close()


async def highest_epoch(log: Log, topic: str) -> int:
    """The highest epoch among the ends of a topic's partitions; 0 if it is empty."""
    highest = 0
    for record in (await log.last_records(topic)).values():
        position = dict(record.headers).get("ce_position")
        highest = max(highest, Position.parse(position).epoch if position else 0)
    return highest


async def _tell(connection: Any, service: str, topic: str, epoch: int, partitions: int) -> None:
    now = await connection.fetchval("select clock_timestamp()")
    message, stream = message_of(service, epoch, now), stream_of(epoch)
    ids = [str(uuid_utils.uuid7()) for _ in range(partitions)]
    headers = [envelope(service, _fact(epoch, partition, id, now), message, None) for partition, id in enumerate(ids)]
    await connection.execute(
        _APPEND,
        topic,
        epoch,
        stream,
        RAISED,
        list(range(partitions)),
        ids,
        [msgspec.json.encode(each).decode() for each in headers],
        now,
        msgspec.json.encode(message.data),
    )


def _fact(epoch: int, partition: int, event_id: str, at: datetime) -> Recorded:
    return Recorded(stream_of(epoch), partition + 1, event_id, None, at, at)
