"""What restores of writers' databases have undone: found in their topics, remembered, passed over by lanes, and left."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

from shared.database import Pool
from shared.messaging.chain import Void, is_void
from shared.messaging.cloudevents import read_envelopes
from shared.messaging.epochs import highest_epoch
from shared.messaging.facts import InboundFact
from shared.messaging.lanes import LOCK
from shared.messaging.log import Log, TopicPartition
from shared.position import START, Position

PAGE_RECORDS = 1000
FIRST_EPOCH = 1

_REMEMBER = """
insert into void_ranges (topic, lane, epoch, after_epoch, after_transaction_id, after_sequence)
select $1, * from unnest($2::smallint[], $3::integer[], $4::integer[], $5::bigint[], $6::bigint[])
    on conflict do nothing
"""

_DROP_LETTERS = """
delete from dead_letters
 where consumer = $1
   and is_void(topic, lane, epoch, transaction_id, sequence)
"""

_NEXT_HEADS = """
update dead_letters
   set reason = 'queued behind a fact that a restore has undone'
 where id in (select min(id) from dead_letters where consumer = $1 group by lane, key having count(reason) = 0)
"""

_LEAVE = """
update lane_topics as place
   set epoch = last.after_epoch, transaction_id = last.after_transaction_id, sequence = last.after_sequence
  from (select distinct on (held.lane, held.topic) held.lane, held.topic, after_epoch, after_transaction_id, after_sequence
          from lane_topics as held
          join void_ranges as void
            on (void.topic, void.lane) = (held.topic, held.lane)
           and held.epoch < void.epoch
           and (held.epoch, held.transaction_id, held.sequence) > (after_epoch, after_transaction_id, after_sequence)
         where held.consumer = $1
         order by held.lane, held.topic, after_epoch, after_transaction_id, after_sequence) as last
 where place.consumer = $1
   and (place.lane, place.topic) = (last.lane, last.topic)
"""

_ACCEPT = """
insert into accepted_epochs (consumer, topic, epoch)
select $1, topic, max(epoch) from void_ranges where topic = any ($2) group by topic
    on conflict (consumer, topic) do update
   set epoch = greatest(accepted_epochs.epoch, excluded.epoch), accepted_at = clock_timestamp()
"""


async def learn(pool: Pool, log: Log, consumer: str, topics: Collection[str], lanes: Sequence[int]) -> list[str]:
    """Find out what was undone in these topics, and remember it: from then on the consumer's lanes pass over it, and
    what is parked of it is forgotten.

    Returns:
        The topics in which anything can have been undone: their epoch was raised.

    Raises:
        LogUnavailable: a topic cannot be read.
        ValueError: a partition does not tell of the topic's highest epoch yet.
    """
    await log.create_topics(list(topics), partitions=len(lanes))
    restored = []
    for topic in topics:
        highest = await highest_epoch(log, topic)
        if highest <= FIRST_EPOCH:
            continue
        restored.append(topic)
        if await pool.fetchval("select max(epoch) from void_ranges where topic = $1", topic) == highest:
            continue
        rows = []
        for lane in lanes:
            voids, epoch = await _find(log, TopicPartition(topic, lane))
            if epoch < highest:
                raise ValueError(
                    f"{topic}, partition {lane} does not tell of epoch {highest} yet. Is its relay at work? Try again then."
                )
            rows += [(lane, void.epoch, *void.after) for void in voids]
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(LOCK, consumer, lanes)
            if rows:
                await connection.execute(_REMEMBER, topic, *zip(*rows, strict=True))
            await connection.execute(_DROP_LETTERS, consumer)
            await connection.execute(_NEXT_HEADS, consumer)
    return restored


async def _find(log: Log, where: TopicPartition) -> tuple[list[Void], int]:
    """What was undone in a partition, and its highest epoch."""
    voids = []
    last, epoch = START, ""
    async for facts in pages(log, where):
        for fact in facts:
            if epoch and fact.position.startswith(epoch):
                continue
            try:
                position, previous = Position.parse(fact.position), Position.parse(fact.previous)
            except ValueError:
                continue  # no relay wrote it
            if position.epoch > last.epoch:
                if last != START:
                    voids.append(Void(position.epoch, previous))
                last, epoch = position, f"{position.epoch}-"
    return voids, last.epoch


async def pages(log: Log, where: TopicPartition) -> AsyncIterator[list[InboundFact]]:
    """Everything that stands in a partition, in order."""
    offset = 0
    while records := await log.read(where, offset=offset, max_records=PAGE_RECORDS):
        yield read_envelopes(records)
        offset = records[-1].offset + 1


async def void_facts(pool: Pool, log: Log, where: TopicPartition) -> AsyncIterator[list[InboundFact]]:
    """The facts in a partition that are known to be undone, a page at a time."""
    if not (voids := await _known(pool, where)):
        return
    async for facts in pages(log, where):
        if undone := [fact for fact in facts if is_void(voids, fact.position)]:
            yield undone


async def _known(pool: Pool, where: TopicPartition) -> list[Void]:
    rows = await pool.fetch(
        """
        select epoch, after_epoch, after_transaction_id, after_sequence
          from void_ranges
         where (topic, lane) = ($1, $2)
        """,
        *where,
    )
    return [Void(epoch, Position(*after)) for epoch, *after in rows]


async def leave(connection: Any, consumer: str, topics: Sequence[str]) -> None:
    """Let lanes whose tables hold nothing void go on: from before what was undone, into the epochs after it. Belongs into
    the transaction that rids the tables of it, under the lanes' locks.
    """
    await connection.execute(_LEAVE, consumer)
    await connection.execute(_ACCEPT, consumer, topics)
