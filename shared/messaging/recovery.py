"""What an operator tells a consumer after a writer's database was restored, or after a topic was lost and published anew."""

from shared.database import ACQUIRE_SECONDS, Pool
from shared.messaging.lanes import LOCK


async def accept_epoch(pool: Pool, consumer: str, topic: str, epoch: int) -> None:
    """Let `consumer` go on where the writer's database was restored: facts after the restored point that it has folded
    count as applied for good. The halted partitions go on by themselves within seconds.
    """
    await pool.execute(
        """
        insert into accepted_epochs (consumer, topic, epoch) values ($1, $2, $3)
            on conflict (consumer, topic) do update
           set epoch = greatest(accepted_epochs.epoch, excluded.epoch), accepted_at = clock_timestamp()
        """,
        consumer,
        topic,
        epoch,
    )


async def read_again(pool: Pool, consumer: str, topic: str) -> None:
    """Read `topic` again from its first record, after it was lost and published anew; positions drop what was applied."""
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection, connection.transaction():
        rows = await connection.fetch(
            "select lane from lane_topics where consumer = $1 and topic = $2 order by lane", consumer, topic
        )
        lanes = [row["lane"] for row in rows]
        await connection.execute(LOCK, consumer, lanes)
        await connection.execute(
            "update lane_topics set next_offset = 0 where consumer = $1 and topic = $2", consumer, topic
        )
