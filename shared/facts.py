"""Find a stored fact by its id, and what caused it."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from shared.commands.cause import Request
from shared.database import Pool
from shared.position import Position

# Facts that lanes publish say themselves which fact they follow from.
_FACT = """
select event_id::text, type, stream_id, version, occurred_at, recorded_at, partition,
       epoch, transaction_id::text::bigint as transaction_id, sequence, cause::text, data ->> 'cause' as follows
  from events
 where event_id = $1
"""


class StoredFact(NamedTuple):
    """A fact of this service, without what it says.

    Attributes:
        partition: of the topic; None if it was not published.
        request: that it was recorded by; None: in the background, or before causes were stored.
        follows: event id of the fact that it follows from; None if a request is its cause.
    """

    event_id: str
    type: str
    stream: str
    version: int
    occurred_at: datetime
    recorded_at: datetime
    partition: int | None
    position: Position
    request: Request | None
    follows: str | None


async def stored_fact(pool: Pool, event_id: str) -> StoredFact | None:
    """The fact with this id (a UUID as text)."""
    row = await pool.fetchrow(_FACT, UUID(event_id))
    if row is None:
        return None
    cause: dict[str, Any] = msgspec.json.decode(row["cause"]) if row["cause"] is not None else {}
    return StoredFact(
        event_id=row["event_id"],
        type=row["type"],
        stream=row["stream_id"],
        version=row["version"],
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        partition=row["partition"],
        position=Position(row["epoch"], row["transaction_id"], row["sequence"]),
        request=msgspec.convert(cause, Request) if "request" in cause else None,
        follows=cause.get("fact") or row["follows"],
    )
