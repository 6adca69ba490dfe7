"""The lane transaction: fold what is new in some lanes exactly once, whatever the log's client delivers, and to whom."""

import asyncio
import contextlib
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID, uuid4

import asyncpg
from opentelemetry.trace import SpanKind

from shared.database import ACQUIRE_SECONDS, Pool
from shared.failpoints import failpoint
from shared.messaging.chain import Chain, Halt, Void
from shared.messaging.facts import InboundFact, LaneFacts, Poison, Projection
from shared.messaging.log import TopicPartition
from shared.observability.traces import span_from
from shared.position import Position

Chunk: TypeAlias = tuple[TopicPartition, Sequence[InboundFact]]
"""Records of one partition, in order, their envelopes read."""

Letter: TypeAlias = tuple[InboundFact, str | None]
"""A fact to park, and its reason, or None where it queues behind another one of its key."""

_MOST_SPANS = 20

LOCK = "select pg_advisory_xact_lock(hashtext('lane ' || $1), lane) from unnest($2::integer[]) as lane"
"""The fence. A statement of its own: what it protects is read by the next one. Takes no transaction id."""

_READ = """
select wanted.lane, lanes.stamp, place.topic, place.next_offset, place.epoch, place.transaction_id, place.sequence,
       coalesce(accepted.epoch, 0) as accepted_epoch,
       array(select array[void.epoch, after_epoch, after_transaction_id, after_sequence]
               from void_ranges as void
              where (void.topic, void.lane) = (place.topic, place.lane)) as voids,
       array(select parked.key from dead_letters as parked
              where parked.consumer = $1 and parked.lane = wanted.lane and parked.reason is not null) as parked_keys
  from unnest($2::smallint[]) as wanted (lane)
  left join lanes on lanes.consumer = $1 and lanes.lane = wanted.lane
  left join lane_topics as place on place.consumer = $1 and place.lane = wanted.lane
  left join accepted_epochs as accepted on accepted.consumer = $1 and accepted.topic = place.topic
"""

_STAMP = """
insert into lanes (consumer, lane, stamp)
select $1, lane, $3 from unnest($2::smallint[]) as lane
    on conflict (consumer, lane) do update set stamp = excluded.stamp
"""

_ADVANCE = f"""
with stamped as ({_STAMP})
insert into lane_topics (consumer, lane, topic, next_offset, epoch, transaction_id, sequence)
select $1, * from unnest($4::smallint[], $5::text[], $6::bigint[], $7::integer[], $8::bigint[], $9::bigint[])
    on conflict (consumer, lane, topic) do update
   set next_offset = excluded.next_offset, epoch = excluded.epoch,
       transaction_id = excluded.transaction_id, sequence = excluded.sequence
"""

_PARK = """
insert into dead_letters (consumer, lane, topic, log_offset, epoch, transaction_id, sequence,
                          key, type, event_id, traceparent, value, reason)
select $1, * from unnest($2::smallint[], $3::text[], $4::bigint[], $5::integer[], $6::bigint[], $7::bigint[],
                         $8::text[], $9::text[], $10::text[], $11::text[], $12::bytea[], $13::text[])
"""


class Folded(NamedTuple):
    """What became of some chunks.

    Attributes:
        next_offsets: of every partition among them, as they stand in the database.
        halts: the partitions that cannot be read on, and why.
        applied: number of facts folded.
        strangers: number of records passed over because no relay wrote them.
    """

    next_offsets: dict[TopicPartition, int]
    halts: dict[TopicPartition, Halt]
    applied: int
    strangers: int


@dataclass
class _Lane:
    """One lane inside a transaction."""

    stamp: UUID | None = None
    chains: dict[str, Chain] = field(default_factory=dict)
    parked_keys: frozenset[str] = frozenset()
    fresh: list[InboundFact] = field(default_factory=list)
    queued: list[InboundFact] = field(default_factory=list)


class Lanes:
    """Folds records into the tables of one projection. Any number of these, in any number of processes, may work on
    the same lanes at once: whoever comes second finds the work done.

    Args:
        timeout_seconds: for one transaction.
    """

    def __init__(self, projection: Projection, pool: Pool, *, timeout_seconds: float = 30.0) -> None:
        self._projection = projection
        self._pool = pool
        self._timeout_seconds = timeout_seconds
        # Per lane, the stamp that this object's last acknowledged commit wrote, and what the projection remembered then.
        self._memory: dict[int, tuple[UUID, Any]] = {}

    async def next_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Where to read on; 0 for what was never read."""
        rows = await self._pool.fetch(
            "select topic, lane, next_offset from lane_topics where consumer = $1", self._projection.consumer
        )
        known = {(row["topic"], row["lane"]): row["next_offset"] for row in rows}
        return {partition: known.get(partition, 0) for partition in partitions}

    def forget(self, lanes: Iterable[int]) -> None:
        """Free the memory of lanes that others work on now."""
        for lane in lanes:
            self._memory.pop(lane, None)

    async def fold(self, chunks: Sequence[Chunk]) -> Folded:
        """Fold the new facts among `chunks` and commit. A fact that cannot be applied is found by halving, and its key
        parked; the rest is committed.

        Raises:
            asyncpg.PostgresError, OSError, TimeoutError: a trouble that passes, as a deadlock, or a database that is
                away. What was committed stays; fold the same chunks again.
        """
        try:
            return await self._transact(chunks)
        except (Poison, asyncpg.PostgresError) as error:
            reason = poison_reason(error)
            if reason is None:
                raise
            halves = _halve(chunks)
            if halves is None:
                return await self._transact(chunks, park=reason)
        first, second = await self.fold(halves[0]), await self.fold(halves[1])
        return Folded(
            first.next_offsets | second.next_offsets,
            first.halts | second.halts,
            first.applied + second.applied,
            first.strangers + second.strangers,
        )

    async def _transact(self, chunks: Sequence[Chunk], park: str | None = None) -> Folded:
        """One transaction. With `park`, the only fact among `chunks` is parked for that reason instead of applied."""
        consumer = self._projection.consumer
        numbers = sorted({partition.partition for partition, _ in chunks})
        remembered = {number: self._memory.pop(number, None) for number in numbers}
        async with (
            asyncio.timeout(self._timeout_seconds),
            self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection,
            connection.transaction(),
        ):
            await connection.execute(LOCK, consumer, numbers)
            await failpoint("consumer.after-lock")
            lanes = await _read(connection, consumer, numbers)
            folded, changed = _take(lanes, chunks, self._projection.types)
            if not changed:
                self._memory |= {number: memory for number, memory in remembered.items() if memory}
                return folded
            given = [
                LaneFacts(number, lane.fresh, _valid(remembered[number], lane.stamp)) for number, lane in lanes.items()
            ]
            letters: list[Letter] = [(fact, None) for lane in lanes.values() for fact in lane.queued]
            if park is not None:
                letters += [(fact, park) for lane in lanes.values() for fact in lane.fresh]
                folded = folded._replace(applied=0)
            elif folded.applied:
                with _traced(consumer, given):
                    await self._projection.apply(connection, [facts for facts in given if facts.facts])
                await failpoint("consumer.mid-apply")
            if letters:
                await connection.execute(_PARK, consumer, *_letter_columns(letters))
                await failpoint("deadletters.after-park")
            await failpoint("consumer.before-lane-row")
            stamp = uuid4()
            await connection.execute(_ADVANCE, consumer, numbers, stamp, *_chain_columns(lanes))
            await failpoint("consumer.before-commit")
        await failpoint("consumer.after-commit")
        self._memory |= {facts.lane: (stamp, facts.memory) for facts in given}
        return folded


def poison_reason(error: Poison | asyncpg.PostgresError) -> str | None:
    """Why a fact can never be applied; None if the trouble may pass. Class 22 is bad data, class 23 a broken constraint."""
    if isinstance(error, Poison):
        return error.reason
    if error.sqlstate is not None and error.sqlstate[:2] in ("22", "23"):
        # Without the server's detail, which quotes values.
        return f"{error.args[0]} (SQLSTATE {error.sqlstate})"
    return None


async def replace_stamps(connection: Any, consumer: str, lanes: Sequence[int]) -> None:
    """Tell every process that what it remembers of these lanes is old. Belongs into every transaction that changes
    tables of a lane outside `Lanes.fold`, under the lanes' locks.
    """
    await connection.execute(_STAMP, consumer, lanes, uuid4())


def _take(lanes: dict[int, _Lane], chunks: Sequence[Chunk], types: Collection[str]) -> tuple[Folded, bool]:
    """Sort the new facts of `chunks` into their lanes, and tell whether any lane moved."""
    folded = Folded({}, {}, 0, 0)
    applied = strangers = 0
    changed = False
    for partition, records in chunks:
        lane = lanes[partition.partition]
        chain = lane.chains.setdefault(partition.topic, Chain())
        before = chain.next_offset
        if partition not in folded.halts:
            facts, halt = chain.read(records, types)
            if halt:
                folded.halts[partition] = halt
            if lane.parked_keys:
                lane.queued += [fact for fact in facts if fact.key in lane.parked_keys]
                facts = [fact for fact in facts if fact.key not in lane.parked_keys]
            lane.fresh += facts
            applied += len(facts)
        changed |= chain.next_offset != before
        folded.next_offsets[partition] = chain.next_offset
    for lane in lanes.values():
        strangers += sum(chain.strangers for chain in lane.chains.values())
    return folded._replace(applied=applied, strangers=strangers), changed


async def _read(connection: Any, consumer: str, numbers: Sequence[int]) -> dict[int, _Lane]:
    lanes: dict[int, _Lane] = {}
    for row in await connection.fetch(_READ, consumer, numbers):
        lane = lanes.setdefault(row["lane"], _Lane(row["stamp"], parked_keys=frozenset(row["parked_keys"])))
        if row["topic"] is not None:
            position = Position(row["epoch"], row["transaction_id"], row["sequence"])
            voids = [Void(epoch, Position(*after)) for epoch, *after in row["voids"]]
            lane.chains[row["topic"]] = Chain(row["next_offset"], position, row["accepted_epoch"], voids)
    return lanes


def _valid(remembered: tuple[UUID, Any] | None, stamp: UUID | None) -> Any:
    return remembered[1] if remembered is not None and remembered[0] == stamp else None


@contextlib.contextmanager
def _traced(consumer: str, lanes: Sequence[LaneFacts]) -> Iterator[None]:
    """Continue the traces of the sampled facts, of the first few at most: a batch has one duration for all."""
    traced = (fact for lane in lanes for fact in lane.facts if fact.traceparent is not None)
    with contextlib.ExitStack() as spans:
        for fact in itertools.islice(traced, _MOST_SPANS):
            attributes = {
                "messaging.operation.name": "project",
                "messaging.consumer.group.name": consumer,
                "messaging.destination.name": fact.topic,
                "messaging.destination.partition.id": str(fact.partition),
                "messaging.message.id": fact.event_id,
            }
            spans.enter_context(span_from(fact.traceparent, f"project {fact.type}", SpanKind.CONSUMER, attributes))
        yield


def _chain_columns(lanes: Mapping[int, _Lane]) -> Sequence[Sequence[Any]]:
    rows = [
        (number, topic, chain.next_offset, *chain.position)
        for number, lane in sorted(lanes.items())
        for topic, chain in sorted(lane.chains.items())
    ]
    return list(zip(*rows, strict=True))


def _letter_columns(letters: Sequence[Letter]) -> Sequence[Sequence[Any]]:
    rows = [
        (
            fact.partition,
            fact.topic,
            fact.offset,
            *Position.parse(fact.position),
            fact.key,
            fact.type,
            fact.event_id,
            fact.traceparent,
            fact.value,
            reason,
        )
        for fact, reason in letters
    ]
    return list(zip(*rows, strict=True))


def _halve(chunks: Sequence[Chunk]) -> tuple[list[Chunk], list[Chunk]] | None:
    """Two halves of the records, in order; None if there is one record only."""
    total = sum(len(records) for _, records in chunks)
    if total <= 1:
        return None
    first: list[Chunk] = []
    second: list[Chunk] = []
    room = total // 2
    for partition, records in chunks:
        if records[:room]:
            first.append((partition, records[:room]))
        if records[room:]:
            second.append((partition, records[room:]))
        room = max(0, room - len(records))
    return first, second
