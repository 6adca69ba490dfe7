"""Watermarks are true: what was committed before one stands in the log up to there; so absence can be concluded."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias, cast

import msgspec
import pytest

from shared.database import Pool, open_writer
from shared.messaging.epochs import raise_epoch
from shared.messaging.log import Log, LogUnavailable, Outgoing, TopicPartition
from shared.messaging.relay import Relay
from shared.messaging.watermarks import (
    Watermark,
    WatermarkPublisher,
    WatermarkReader,
    folded_arguments,
    watermark_topic,
)
from shared.position import Position
from tests.support.relaying import running, until

Unique: TypeAlias = Callable[[str], str]
PARTITIONS = 2


@pytest.fixture
async def pool(kernel_database: str) -> AsyncIterator[Pool]:
    pool = await open_writer(kernel_database, name="watermark-test", size=6)
    yield pool
    await pool.close()


@pytest.fixture
def service(unique: Unique) -> str:
    return unique("toy")


async def insert(connection: Any, service: str, partition: int) -> Position:
    """Write one outbox row; return its position."""
    row = await connection.fetchrow(
        """
        insert into outbox (epoch, transaction_id, sequence, topic, partition, key, headers, value)
        select epoch, pg_current_xact_id(), nextval('position_sequence'), $1, $2, 'ana', '{}', '{}'
          from database_epoch
        returning epoch, transaction_id::text::bigint, sequence
        """,
        f"{service}.events",
        partition,
    )
    await connection.execute("select pg_notify('outbox', '')")
    return Position(*row)


def make_relay(dsn: str, log: Log, service: str, *others: str, seconds: float | None = 0.1) -> Relay:
    return Relay(
        dsn,
        log,
        service=service,
        topic=f"{service}.events",
        partitions=PARTITIONS,
        watermark_seconds=seconds,
        watermarks_of=others,
    )


async def next_watermark(reader: WatermarkReader, service: str) -> Watermark:
    """A watermark that is begun after this call: the second one from now."""
    await reader.refresh()
    before = latest.offset if (latest := reader.latest(service)) else -1

    async def came() -> bool:
        await reader.refresh()
        latest = reader.latest(service)
        return latest is not None and latest.offset >= before + 2

    await until(came)
    found = reader.latest(service)
    assert found is not None
    return found


async def publish(log: Log, service: str, **value: Any) -> None:
    """Put a watermark into the log by hand."""
    full = {"epoch": 1, "time": "2026-03-01T12:00:00Z", "positions": {}, "seen": {}} | value
    publisher = await log.publisher()
    record = Outgoing(service.encode(), [], msgspec.json.encode(full))
    await publisher.send({TopicPartition(watermark_topic(service), 0): [record]}, timeout_seconds=10)
    await publisher.close()


async def create(log: Log, *services: str) -> None:
    await log.create_topics([watermark_topic(service) for service in services], partitions=1, compacted=True)


async def test_a_watermark_covers_what_was_committed_before_it(
    kernel_database: str, pool: Pool, log: Log, service: str
) -> None:
    async with running(make_relay(kernel_database, log, service)):
        await until(lambda: exists(log, service))
        reader = WatermarkReader(log, [service])
        positions = [await insert(pool, service, partition) for partition in (0, 1, 0)]
        before = await pool.fetchval("select clock_timestamp()")
        watermark = await next_watermark(reader, service)
    assert watermark.time > before
    assert watermark.epoch == 1
    assert watermark.positions == {0: positions[2], 1: positions[1]}
    ends = await log.end_offsets(f"{service}.events")
    assert ends == {0: 2, 1: 1}


async def exists(log: Log, service: str) -> bool:
    try:
        await log.end_offsets(watermark_topic(service))
    except LogUnavailable:
        return False
    return True


async def test_no_watermark_claims_what_a_transaction_still_open_holds_back(
    kernel_database: str, pool: Pool, log: Log, service: str
) -> None:
    reader = WatermarkReader(log, [service])
    async with running(make_relay(kernel_database, log, service)), pool.acquire() as slow:
        await until(lambda: exists(log, service))
        await next_watermark(reader, service)
        transaction = slow.transaction()
        await transaction.start()
        position = await insert(slow, service, 0)
        behind = await insert(pool, service, 1)  # committed, but hidden from the relay as long as the other is open
        committed = await pool.fetchval("select clock_timestamp()")
        await asyncio.sleep(1.0)
        await reader.refresh()
        latest = reader.latest(service)
        assert latest is not None
        assert latest.time < committed
        assert not latest.covers(1, behind)
        await transaction.commit()
        watermark = await next_watermark(reader, service)
    assert watermark.covers(0, position)
    assert watermark.covers(1, behind)


async def test_its_time_is_not_past_a_fact_that_is_still_being_decided(
    kernel_database: str, pool: Pool, log: Log, service: str
) -> None:
    """A command reads the clock for `recorded_at`, and takes a transaction id only when it writes: until then no snapshot
    knows of it."""
    reader = WatermarkReader(log, [service])
    async with running(make_relay(kernel_database, log, service)), pool.acquire() as slow:
        await until(lambda: exists(log, service))
        transaction = slow.transaction()
        await transaction.start()
        recorded_at = await slow.fetchval("select clock_timestamp()")
        before = await next_watermark(reader, service)
        assert before.time <= recorded_at
        position = await insert(slow, service, 0)
        await transaction.commit()
        after = await next_watermark(reader, service)
    assert after.time > recorded_at
    assert after.covers(0, position) and not before.covers(0, position)


async def test_none_is_published_unless_asked_for(kernel_database: str, pool: Pool, log: Log, service: str) -> None:
    async with running(make_relay(kernel_database, log, service, seconds=None)):
        await insert(pool, service, 0)

        async def sent() -> bool:
            return await log.end_offsets(f"{service}.events") == {0: 1, 1: 0}

        await asyncio.sleep(0.5)
        await until(sent)
    assert not await exists(log, service)


async def test_a_watermark_names_those_of_other_services_that_stood_before_it(
    kernel_database: str, pool: Pool, log: Log, service: str, unique: Unique
) -> None:
    other = unique("other")
    await create(log, other)
    await publish(log, other)
    await publish(log, other)
    reader = WatermarkReader(log, [service])
    async with running(make_relay(kernel_database, log, service, other)):
        await until(lambda: exists(log, service))
        watermark = await next_watermark(reader, service)
    assert watermark.seen == {other: 2}


class TimedLog:
    """Notes the database's time after each question for the ends of a topic."""

    def __init__(self, log: Log, pool: Pool) -> None:
        self._log = log
        self._pool = pool
        self.asked_at: list[datetime] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def end_offsets(self, topic: str) -> Any:
        ends = await self._log.end_offsets(topic)
        self.asked_at.append(await self._pool.fetchval("select clock_timestamp()"))
        return ends


async def test_what_a_watermark_names_stood_before_its_time(pool: Pool, log: Log, service: str) -> None:
    timed = TimedLog(log, pool)
    watermarks = WatermarkPublisher(cast(Log, timed), service, [f"{service}-other"], interval_seconds=0)
    await watermarks.prepare()
    publisher = await log.publisher()
    async with pool.acquire() as connection:
        await watermarks.step(connection, publisher)
        watermarks.acknowledged(2**62, {})
        await watermarks.step(connection, publisher)
    await publisher.close()
    reader = WatermarkReader(log, [service])
    await reader.refresh()
    published = reader.latest(service)
    assert published is not None
    assert timed.asked_at
    assert max(timed.asked_at) < published.time


async def test_a_watermark_waits_until_all_that_was_committed_before_it_is_acknowledged(
    pool: Pool, log: Log, service: str
) -> None:
    watermarks = WatermarkPublisher(log, service, [], interval_seconds=0)
    reader = WatermarkReader(log, [service])
    await watermarks.prepare()
    publisher = await log.publisher()
    async with pool.acquire() as connection:
        await watermarks.step(connection, publisher)
        watermarks.acknowledged(1, {0: "1-1-1"})
        await watermarks.step(connection, publisher)
        await reader.refresh()
        assert reader.latest(service) is None
        watermarks.acknowledged(2**62, {0: "1-1-2"})
        await watermarks.step(connection, publisher)
    await publisher.close()
    await reader.refresh()
    published = reader.latest(service)
    assert published is not None and published.positions == {0: Position(1, 1, 2)}


async def test_younger_than_a_fact_is_told_by_offsets(log: Log, service: str, unique: Unique) -> None:
    author, fact = unique("author"), Position(1, 100, 7)
    await create(log, service, author)
    reader = WatermarkReader(log, [service, author])

    async def younger() -> Watermark | None:
        await reader.refresh()
        return reader.younger_than(service, author, 3, fact)

    await publish(log, service, seen={author: 0})
    assert await younger() is None, "nothing of the author is known"
    await publish(log, author, positions={"3": "1-100-6"})
    await publish(log, service, seen={author: 1})
    assert await younger() is None, "the author's watermark does not cover the fact"
    await publish(log, author, positions={"3": "1-100-7"})
    assert await younger() is None, "ours was begun before the one that covers it"
    await publish(log, service, seen={author: 1})
    assert await younger() is None, "ours did not see it"
    await publish(log, author, positions={"3": "1-200-9"})
    await publish(log, service, seen={author: 2})
    found = await younger()
    assert found is not None
    assert found.seen == {author: 2}


async def test_watermarks_of_a_lower_epoch_are_ignored(log: Log, service: str) -> None:
    await create(log, service)
    reader = WatermarkReader(log, [service])
    await publish(log, service, epoch=2, positions={"0": "2-5-1"})
    await reader.refresh()
    await publish(log, service, epoch=1, positions={"0": "1-900-1"})
    await reader.refresh()
    latest = reader.latest(service)
    assert latest is not None
    assert (latest.epoch, latest.positions) == (2, {0: Position(2, 5, 1)})


async def test_after_a_raise_watermarks_carry_the_new_epoch(
    kernel_database: str, pool: Pool, log: Log, service: str
) -> None:
    reader = WatermarkReader(log, [service])
    async with running(make_relay(kernel_database, log, service)):
        await until(lambda: exists(log, service))
        await insert(pool, service, 0)
        await next_watermark(reader, service)
        await raise_epoch(kernel_database, log, f"{service}.events", service=service, partitions=PARTITIONS)
        position = await insert(pool, service, 0)
        watermark = await next_watermark(reader, service)
    assert position.epoch == watermark.epoch == 2
    assert watermark.covers(0, position)


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


async def test_absence_is_certain_only_when_the_lanes_are_folded_so_far_and_nothing_relevant_is_parked(
    pool: Pool,
) -> None:
    async def certain(mark: Watermark, *lanes: int) -> bool:
        arguments = folded_arguments("reader", "toy.events", mark, lanes, ["toy.bound.v1"])
        return bool(await pool.fetchval("select folded_through($1, $2, $3, $4, $5, $6, $7, $8)", *arguments))

    mark = Watermark("toy", 0, 1, NOW, {0: Position(1, 10, 2), 1: Position(1, 8, 1)}, {})
    assert not await certain(mark, 0), "the lane was never read"
    assert await certain(mark, 2), "nothing was ever written to that partition"

    await pool.execute(
        """
        insert into lane_topics (consumer, lane, topic, next_offset, epoch, transaction_id, sequence)
        values ('reader', 0, 'toy.events', 5, 1, 10, 2), ('reader', 1, 'toy.events', 5, 1, 7, 900)
        """
    )
    assert await certain(mark, 0)
    assert not await certain(mark, 1), "positions are compared as a whole"
    assert not await certain(mark, 0, 1)
    await pool.execute("update lane_topics set transaction_id = 11 where lane = 1")
    assert await certain(mark, 0, 1, 2)

    await pool.execute(
        """
        insert into dead_letters (consumer, lane, key, topic, log_offset, epoch, transaction_id, sequence, type,
                                  event_id, value, reason)
        values ('reader', 0, 'ana', 'toy.events', 4, 1, 9, 1, 'toy.other.v1', 'e', '{}', 'broken')
        """
    )
    assert await certain(mark, 0), "what is parked could not supply the answer"
    await pool.execute("update dead_letters set type = 'toy.bound.v1'")
    assert not await certain(mark, 0)
    assert await certain(mark, 1)

    await pool.execute("update lane_topics set epoch = 2 where lane = 1")
    assert not await certain(mark, 1), "a watermark from before a restore says nothing"
