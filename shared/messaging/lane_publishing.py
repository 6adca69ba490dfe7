"""Publish what follows from the facts of a lane: new facts join the event store in the lane's own transaction.

So they are stored and sent exactly if the lane advances, once, and the relay and `republish` treat them like facts that
commands write.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import uuid_utils

from shared import eventstore
from shared.codec import Codec
from shared.commands.factrows import fact_row
from shared.commands.recorded import Recorded
from shared.commands.writing import Writing


class Following(NamedTuple):
    """A fact that follows from one that was folded.

    Attributes:
        stream_id: its stream; the same whenever the fact is computed.
        event: the fact.
        traceparent: of the fact that it follows from.
        version: its number in the stream.
    """

    stream_id: str
    event: Any
    traceparent: str | None
    version: int = 1


async def publish_from_lane(
    connection: Any, writing: Writing, codec: Codec[Any], following: Sequence[Following]
) -> None:
    """Append these facts. Must be the first write of the lane's transaction: until then it has no transaction id, so
    readers of the outbox meet facts in the order of the folds.

    Raises:
        asyncpg.UniqueViolationError: one of them was stored before.
    """
    if not following:
        return
    recorded_at = await connection.fetchval("select clock_timestamp()")
    rows = [
        fact_row(
            writing,
            codec,
            Recorded(stream_id, version, str(uuid_utils.uuid7()), event, event.occurred_at, recorded_at),
            traceparent=traceparent,
        )
        for stream_id, event, traceparent, version in following
    ]
    await eventstore.append(
        connection,
        service=writing.service,
        topic=writing.topic,
        recorded_at=recorded_at,
        commands=1,
        heads=(),
        facts=rows,
        keys=(),
    )
