"""What restores of writers' databases have undone: found in their topics, remembered, passed over by lanes, and left."""

import contextlib
from bisect import bisect_right
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
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
insert into void_ranges (topic, lane, epoch, after_epoch, after_transaction_id, after_sequence,
                         before_epoch, before_transaction_id, before_sequence)
select $1, * from unnest($2::smallint[], $3::integer[], $4::integer[], $5::bigint[], $6::bigint[],
                         $7::integer[], $8::bigint[], $9::bigint[])
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
           and (held.epoch, held.transaction_id, held.sequence) > (after_epoch, after_transaction_id, after_sequence)
           and (held.epoch, held.transaction_id, held.sequence) < (before_epoch, before_transaction_id, before_sequence)
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
            rows += [(lane, void.epoch, *void.after, *void.before) for void in voids]
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(LOCK, consumer, lanes)
            if rows:
                await connection.execute(_REMEMBER, topic, *zip(*rows, strict=True))
            await connection.execute(_DROP_LETTERS, consumer)
            await connection.execute(_NEXT_HEADS, consumer)
    return restored


async def _find(log: Log, where: TopicPartition) -> tuple[list[Void], int]:
    """What was undone in a partition, and its highest epoch.

    The first fact of an epoch names the last fact that its database knew: all later ones of lower epochs are undone. Earlier
    ones can be, too: a transaction that was under way at the backup, while a later one had ended. Before its new epoch the
    relay then sends that later one again, as the backup's checkpoint asks, and names another predecessor: what lies between
    was undone.
    """
    voids: list[Void] = []
    repeats: list[tuple[Position, Position]] = []
    last = START
    async for position, previous in _positions(log, where):
        if position.epoch > last.epoch:
            if last != START:
                epoch = position.epoch
                voids.append(Void(epoch, previous, Position(epoch, 0, 0)))
                voids += await _passed_over(log, where, epoch, {at: after for after, at in repeats if at <= previous})
                repeats = []
            last = position
        elif position > last:
            last = position
        else:
            repeats.append((previous, position))
    return voids, last.epoch


async def _passed_over(log: Log, where: TopicPartition, epoch: int, repeats: Mapping[Position, Position]) -> list[Void]:
    """Of these repeats, position -> predecessor, those between which and their predecessor a fact stands."""
    if not repeats:
        return []
    ends = sorted(repeats)
    found: dict[Position, Void] = {}
    async for position, _ in _positions(log, where):
        place = bisect_right(ends, position)
        if place < len(ends) and repeats[ends[place]] < position:
            found[ends[place]] = Void(epoch, repeats[ends[place]], ends[place])
    return list(found.values())


async def _positions(log: Log, where: TopicPartition) -> AsyncIterator[tuple[Position, Position]]:
    """Position and predecessor of every fact in a partition."""
    async for facts in pages(log, where):
        for fact in facts:
            with contextlib.suppress(ValueError):  # no relay wrote it
                yield Position.parse(fact.position), Position.parse(fact.previous)


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
        select epoch, after_epoch, after_transaction_id, after_sequence,
               before_epoch, before_transaction_id, before_sequence
          from void_ranges
         where (topic, lane) = ($1, $2)
        """,
        *where,
    )
    return [Void(epoch, Position(*ends[:3]), Position(*ends[3:])) for epoch, *ends in rows]


async def leave(connection: Any, consumer: str, topics: Sequence[str]) -> None:
    """Let lanes whose tables hold nothing void go on: from before what was undone, into the epochs after it. Belongs into
    the transaction that rids the tables of it, under the lanes' locks.
    """
    await connection.execute(_LEAVE, consumer)
    await connection.execute(_ACCEPT, consumer, topics)
