"""The epoch of a service's database: raised after a restore, so that positions rise although transaction ids do not."""

import asyncpg

from shared.messaging.log import Log
from shared.position import Position


async def raise_epoch(dsn: str, log: Log, topic: str) -> int:
    """Operator command after any restore: raise the epoch above that of the database and of all that stands in `topic`.

    Returns:
        The new epoch.

    Raises:
        LogUnavailable: the topic cannot be read.
        asyncpg.LockNotAvailableError: appends did not pause within ten seconds; try again.
    """
    highest = 0
    for record in (await log.last_records(topic)).values():
        position = dict(record.headers).get("ce_position")
        highest = max(highest, Position.parse(position).epoch if position else 0)
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction():
            await connection.execute("set local lock_timeout = '10s'")
            # An append reads `events` before it reads the epoch, so none can be under way with the old one: its rows
            # would come after the relay has gone on to the new epoch, and never be sent.
            await connection.execute("lock table events in access exclusive mode")
            epoch: int = await connection.fetchval(
                "update database_epoch set epoch = greatest(epoch, $1) + 1 returning epoch", highest
            )
            return epoch
    finally:
        await connection.close()
