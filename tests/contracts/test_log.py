"""What every log promises, asked of the local one and of Apache Kafka alike."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.messaging.facts import InboundFact
from shared.messaging.kafka import KafkaLog
from shared.messaging.local import LocalLog
from shared.messaging.log import (
    Log,
    LogUnavailable,
    OffsetGone,
    Outgoing,
    Record,
    StartAt,
    Subscription,
    TopicPartition,
)

Open: TypeAlias = Callable[[], Awaitable[Log]]
Unique: TypeAlias = Callable[[str], str]

BOTH = [pytest.param("local", marks=pytest.mark.postgres), pytest.param("kafka", marks=pytest.mark.kafka)]
TIMEOUT_SECONDS = 20.0


async def open_quick(kind: str, address: str) -> Log:
    """A log whose groups notice a dead member within two seconds."""
    if kind == "local":
        return await LocalLog.open(address, heartbeat_seconds=0.2, session_timeout_seconds=2.0)
    return await KafkaLog.open(address, heartbeat_seconds=0.2, session_timeout_seconds=2.0, stuck_seconds=3.0)


@pytest.fixture(params=BOTH)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def address(kind: str, request: pytest.FixtureRequest) -> str:
    if kind == "local":
        return str(request.getfixturevalue("database"))
    return str(request.getfixturevalue("kafka").bootstrap_servers)


@pytest.fixture
async def open_log(kind: str, address: str) -> AsyncIterator[Open]:
    opened: list[Log] = []

    async def open_one() -> Log:
        opened.append(await open_quick(kind, address))
        return opened[-1]

    yield open_one
    for log in opened:
        await log.close()


@pytest.fixture
async def log(open_log: Open) -> Log:
    return await open_log()


def outgoing(*values: str, key: str = "ana") -> list[Outgoing]:
    return [Outgoing(key=key.encode(), headers=[("ce_id", b"1")], value=value.encode()) for value in values]


def values(records: Iterable[Record | InboundFact]) -> list[str]:
    return [(record.value or b"").decode() for record in records]


def start_at(offset: int) -> StartAt:
    async def same_for_all(
        partitions: frozenset[TopicPartition],
    ) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(partitions, offset)

    return same_for_all


def start_after(places: Mapping[TopicPartition, int]) -> StartAt:
    async def as_noted(
        partitions: frozenset[TopicPartition],
    ) -> Mapping[TopicPartition, int]:
        return {where: places[where] for where in partitions}

    return as_noted


async def publish(log: Log, batches: Mapping[TopicPartition, list[Outgoing]]) -> None:
    publisher = await log.publisher()
    try:
        await publisher.send(batches, timeout_seconds=10)
    finally:
        await publisher.close()


async def fetch(subscription: Subscription, count: int) -> dict[TopicPartition, list[InboundFact]]:
    """Fetch until `count` records came."""
    found: dict[TopicPartition, list[InboundFact]] = {}
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while sum(map(len, found.values())) < count:
            for where, records in (await subscription.fetch(max_records=500, timeout_seconds=1)).items():
                found.setdefault(where, []).extend(records)
    return found


async def settle(condition: Callable[[], bool], *subscriptions: Subscription) -> None:
    """Keep all members reading until the condition holds."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not condition():
            await asyncio.gather(*(each.fetch(max_records=500, timeout_seconds=0.1) for each in subscriptions))


async def test_a_partition_keeps_the_order_of_acknowledgement_under_concurrent_publishers(
    open_log: Open, unique: Unique
) -> None:
    log, topic = await open_log(), unique("topic")
    await log.create_topics([topic], partitions=3)

    async def write(name: str, order: list[int]) -> None:
        publisher = await log.publisher()
        for number in range(20):
            batch = outgoing(*(f"{name} {number:02} {place:02}" for place in range(10)))
            await publisher.send(
                {TopicPartition(topic, partition): batch for partition in order},
                timeout_seconds=10,
            )
        await publisher.close()

    await asyncio.gather(
        write("a", [0, 1, 2]),
        write("b", [2, 1, 0]),
        write("c", [1, 2, 0]),
        write("d", [2, 0, 1]),
    )

    subscription = await log.subscribe([topic], group=unique("group"), start_at=start_at(0))
    found = await fetch(subscription, 2400)
    await subscription.close()
    for partition in range(3):
        records = found[TopicPartition(topic, partition)]
        assert [record.offset for record in records] == list(range(800))
        for name in "abcd":
            mine = [value for value in values(records) if value.startswith(name)]
            assert len(mine) == 200
            assert mine == sorted(mine)


async def test_a_record_comes_back_as_it_was_written(log: Log, unique: Unique) -> None:
    topic = unique("topic")
    await log.create_topics([topic], partitions=2)
    headers = [
        ("ce_id", b"1"),
        ("traceparent", b"00-ab"),
        ("raw", b"\xff\x00"),
        ("ce_id", b"again"),
    ]
    written = Outgoing(key="名".encode(), headers=headers, value=b'{"a":1}')
    await publish(log, {TopicPartition(topic, 1): [written]})

    [record] = await log.read(TopicPartition(topic, 1), offset=0, max_records=10)
    assert (record.topic, record.partition, record.offset) == (topic, 1, 0)
    assert (record.key, list(record.headers), record.value) == (
        "名".encode(),
        headers,
        b'{"a":1}',
    )


async def test_a_subscription_gives_what_records_say(log: Log, unique: Unique) -> None:
    topic = unique("topic")
    await log.create_topics([topic], partitions=2)
    envelope = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"01a2b3c4-0000-7000-8000-000000000001"),
        ("ce_type", b"content.post-published.v1"),
        ("ce_source", b"/content"),
        ("ce_subject", "名".encode()),
        ("ce_time", b"2026-03-01T12:00:00.000007Z"),
        ("ce_dataschema", b"/content/schemas/post-published.v1.schema.json"),
        ("content-type", b"application/json"),
        ("ce_position", b"1-744-12"),
        ("ce_previous", b"1-744-11"),
    ]
    traced = [*envelope[:8], ("traceparent", b"00-ab"), *envelope[8:]]
    written = [
        Outgoing(key="名".encode(), headers=envelope, value=b'{"a":1}'),
        Outgoing(key=b"ana", headers=traced, value=b"{}"),
        Outgoing(key=b"", headers=[("ce_id", b"1")], value=b""),
    ]
    await publish(log, {TopicPartition(topic, 1): written})

    subscription = await log.subscribe([topic], group=unique("group"), start_at=start_at(0))
    facts = (await fetch(subscription, 3))[TopicPartition(topic, 1)]
    await subscription.close()
    kind, event_id = "content.post-published.v1", "01a2b3c4-0000-7000-8000-000000000001"
    assert facts == [
        InboundFact(topic, 1, 0, "名", kind, event_id, "1-744-12", None, b'{"a":1}', "1-744-11"),
        InboundFact(topic, 1, 1, "ana", kind, event_id, "1-744-12", "00-ab", b"{}", "1-744-11"),
        InboundFact(topic, 1, 2, "", "", "1", "", None, b"", ""),
    ]


async def test_a_reader_that_comes_back_finds_everything_from_where_it_says(open_log: Open, unique: Unique) -> None:
    topic, group = unique("topic"), unique("group")
    where = TopicPartition(topic, 0)
    writer = await open_log()
    await writer.create_topics([topic], partitions=1)
    await publish(writer, {where: outgoing(*(str(number) for number in range(10)))})

    first = await (await open_log()).subscribe([topic], group=group, start_at=start_at(0))
    assert len((await fetch(first, 10))[where]) == 10
    # What the group reported is never read back: the next member starts where it says itself.
    await first.report({where: 10})
    await asyncio.sleep(0.5)
    await first.close()
    await publish(writer, {where: outgoing("10")})

    again = await (await open_log()).subscribe([topic], group=group, start_at=start_at(4))
    found = await fetch(again, 7)
    await again.close()
    assert values(found[where]) == ["4", "5", "6", "7", "8", "9", "10"]


async def test_a_reader_in_another_process_is_woken_at_once(
    kind: str, address: str, open_log: Open, unique: Unique
) -> None:
    topic = unique("topic")
    writer = await open_log()
    await writer.create_topics([topic], partitions=1)
    reader: Log = await LocalLog.open(address, poll_seconds=60) if kind == "local" else await open_log()
    subscription = await reader.subscribe([topic], group=unique("group"), start_at=start_at(0))
    await publish(writer, {TopicPartition(topic, 0): outgoing("to find the place")})
    await fetch(subscription, 1)

    publisher = await writer.publisher()
    waiting = asyncio.create_task(fetch(subscription, 1))
    await asyncio.sleep(0.5)
    before = time.monotonic()
    await publisher.send({TopicPartition(topic, 0): outgoing("now")}, timeout_seconds=10)
    await waiting
    assert time.monotonic() - before < 0.5
    await publisher.close()
    await subscription.close()
    if kind == "local":
        await reader.close()


async def test_a_failing_start_is_told_and_asked_again(log: Log, unique: Unique) -> None:
    topic = unique("topic")
    await log.create_topics([topic], partitions=2)
    await publish(log, {TopicPartition(topic, 0): outgoing("a", "b", "c")})
    asked = []

    async def fails_once(
        partitions: frozenset[TopicPartition],
    ) -> Mapping[TopicPartition, int]:
        asked.append(partitions)
        if len(asked) == 1:
            raise ConnectionError("the database of the reader is away")
        return {TopicPartition(topic, 0): 1, TopicPartition(topic, 1): 0}

    subscription = await log.subscribe([topic], group=unique("group"), start_at=fails_once)
    with pytest.raises(ConnectionError, match="reader is away"):
        await fetch(subscription, 1)
    found = await fetch(subscription, 2)
    await subscription.close()
    assert values(found[TopicPartition(topic, 0)]) == ["b", "c"]
    assert asked == [{TopicPartition(topic, 0), TopicPartition(topic, 1)}] * 2


async def test_an_offset_that_is_not_there_fails_loudly(log: Log, unique: Unique) -> None:
    topic = unique("topic")
    await log.create_topics([topic], partitions=1)
    await publish(log, {TopicPartition(topic, 0): outgoing("a", "b")})

    subscription = await log.subscribe([topic], group=unique("group"), start_at=start_at(3))
    with pytest.raises(OffsetGone):
        await fetch(subscription, 1)
    with pytest.raises(OffsetGone):
        await fetch(subscription, 1)
    await subscription.close()


async def test_two_members_share_the_partitions_by_number(open_log: Open, unique: Unique) -> None:
    topics, group = [unique("topic"), unique("topic")], unique("group")
    everything = {TopicPartition(topic, number) for topic in topics for number in range(5)}
    log = await open_log()
    await log.create_topics(topics, partitions=5)
    started: list[TopicPartition] = []

    async def note(
        partitions: frozenset[TopicPartition],
    ) -> Mapping[TopicPartition, int]:
        started.extend(partitions)
        return dict.fromkeys(partitions, 0)

    def numbers(subscription: Subscription, topic: str) -> set[int]:
        return {where.partition for where in subscription.assignment if where.topic == topic}

    first = await log.subscribe(topics, group=group, start_at=start_at(0))
    await settle(lambda: first.assignment == everything, first)
    second = await (await open_log()).subscribe(topics, group=group, start_at=note)
    await settle(lambda: {len(first.assignment), len(second.assignment)} == {4, 6}, first, second)
    assert first.assignment | second.assignment == everything
    assert not first.assignment & second.assignment
    for member in (first, second):
        assert numbers(member, topics[0]) == numbers(member, topics[1])
    await settle(lambda: set(started) >= second.assignment, first, second)

    await publish(
        log,
        {where: outgoing(f"{where.topic} {where.partition}") for where in everything},
    )
    found_first, found_second = await asyncio.gather(
        fetch(first, len(first.assignment)), fetch(second, len(second.assignment))
    )
    assert found_first.keys() == first.assignment
    assert found_second.keys() == second.assignment

    await first.close()
    await settle(lambda: second.assignment == everything, second)
    await second.close()


async def test_more_members_than_partitions_leave_one_waiting_that_takes_over(open_log: Open, unique: Unique) -> None:
    topic, group = unique("topic"), unique("group")
    log = await open_log()
    await log.create_topics([topic], partitions=1)
    await publish(log, {TopicPartition(topic, 0): outgoing("a")})
    members = [await (await open_log()).subscribe([topic], group=group, start_at=start_at(0)) for _ in range(2)]

    await settle(lambda: sorted(len(each.assignment) for each in members) == [0, 1], *members)
    [owner] = [each for each in members if each.assignment]
    [standby] = [each for each in members if not each.assignment]
    await owner.close()
    assert values((await fetch(standby, 1))[TopicPartition(topic, 0)]) == ["a"]
    await standby.close()


async def test_a_zombie_and_its_successor_see_the_same_records(
    kind: str, address: str, open_log: Open, unique: Unique
) -> None:
    topic, group = unique("topic"), unique("group")
    where = TopicPartition(topic, 0)
    log = await open_log()
    await log.create_topics([topic], partitions=1)
    await publish(log, {where: outgoing("a", "b")})
    asleep, awake = threading.Event(), threading.Event()
    held: list[InboundFact] = []
    after: list[InboundFact] = []

    async def doze() -> None:
        own = await open_quick(kind, address)
        member = await own.subscribe([topic], group=group, start_at=start_at(0))
        held.extend((await fetch(member, 2))[where])
        asleep.set()
        awake.wait(TIMEOUT_SECONDS)  # blocks its whole event loop, heartbeats included
        for records in (await member.fetch(max_records=10, timeout_seconds=0.1)).values():
            after.extend(records)
        await settle(lambda: len(member.assignment) <= 1, member)
        await member.close()
        await own.close()

    thread = threading.Thread(target=lambda: asyncio.run(doze()))
    thread.start()
    await asyncio.to_thread(asleep.wait, TIMEOUT_SECONDS)

    successor = await log.subscribe([topic], group=group, start_at=start_at(0))
    found = (await fetch(successor, 2))[where]
    await publish(log, {where: outgoing("c")})
    found += (await fetch(successor, 1))[where]
    awake.set()
    await asyncio.to_thread(thread.join, TIMEOUT_SECONDS)
    assert not thread.is_alive()
    await successor.close()
    assert values(found) == ["a", "b", "c"]
    assert [(each.offset, each.value) for each in held] == [(each.offset, each.value) for each in found[:2]]
    assert set(values(after)) <= {"a", "b", "c"}


async def test_pause_resume_and_seek(log: Log, unique: Unique) -> None:
    topic = unique("topic")
    one, two = TopicPartition(topic, 0), TopicPartition(topic, 1)
    await log.create_topics([topic], partitions=2)
    await publish(log, {one: outgoing("a", "b"), two: outgoing("x")})
    subscription = await log.subscribe([topic], group=unique("group"), start_at=start_at(0))
    await fetch(subscription, 3)

    subscription.pause(one)
    await publish(log, {one: outgoing("c"), two: outgoing("y")})
    assert values((await fetch(subscription, 1))[two]) == ["y"]
    assert await subscription.fetch(max_records=10, timeout_seconds=0.5) == {}
    subscription.pause(two)
    await publish(log, {two: outgoing("z")})
    assert await subscription.fetch(max_records=10, timeout_seconds=0.5) == {}, "all are paused"
    subscription.resume(one)
    assert values((await fetch(subscription, 1))[one]) == ["c"]
    subscription.resume(two)
    subscription.seek(one, 1)
    found = await fetch(subscription, 3)
    assert values(found[one]) == ["b", "c"]
    assert values(found[two]) == ["z"]
    await subscription.close()


async def test_a_fetch_gives_no_more_than_asked_and_starves_no_partition(log: Log, unique: Unique) -> None:
    topic = unique("topic")
    await log.create_topics([topic], partitions=3)
    batches = {TopicPartition(topic, number): outgoing(*map(str, range(40))) for number in range(3)}
    await publish(log, batches)
    subscription = await log.subscribe([topic], group=unique("group"), start_at=start_at(0))
    seen: set[TopicPartition] = set()
    count = 0
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while count < 60:
            found = await subscription.fetch(max_records=15, timeout_seconds=1)
            assert sum(map(len, found.values())) <= 15
            count += sum(map(len, found.values()))
            seen |= found.keys()
    await subscription.close()
    assert len(seen) >= 2


async def test_ends_last_records_and_reading_without_a_group(log: Log, unique: Unique) -> None:
    topic = unique("topic")
    one, two = TopicPartition(topic, 0), TopicPartition(topic, 1)
    await log.create_topics([topic], partitions=3)
    assert await log.end_offsets(topic) == {0: 0, 1: 0, 2: 0}
    assert await log.last_records(topic) == {}

    await publish(log, {one: outgoing("a", "b", "c"), two: outgoing("x")})
    assert await log.end_offsets(topic) == {0: 3, 1: 1, 2: 0}
    last = await log.last_records(topic)
    assert {number: record.value for number, record in last.items()} == {
        0: b"c",
        1: b"x",
    }
    assert values(await log.read(one, offset=1, max_records=1)) == ["b"]
    assert values(await log.read(one, offset=0, max_records=10)) == ["a", "b", "c"]
    assert values(await log.read(one, offset=3, max_records=10)) == []

    subscription = await log.subscribe([topic], group=unique("group"), start_at=start_at(0))
    await fetch(subscription, 4)
    assert await subscription.end_offsets() == {
        one: 3,
        two: 1,
        TopicPartition(topic, 2): 0,
    }
    await subscription.close()


async def test_a_compacted_topic_keeps_the_last_record_of_every_key(log: Log, unique: Unique) -> None:
    topic = unique("topic")
    where = TopicPartition(topic, 0)
    await log.create_topics([topic], partitions=1, compacted=True)
    for number in range(3):
        await publish(
            log,
            {
                where: [
                    *outgoing(f"a{number}", key="a"),
                    *outgoing(f"b{number}", key="b"),
                ]
            },
        )
    await publish(log, {where: [Outgoing(key=b"b", headers=[], value=None)]})

    end = (await log.end_offsets(topic))[0]
    assert end == 7
    latest: dict[bytes | None, bytes | None] = {}
    offset = 0
    while offset < end:
        records = await log.read(where, offset=offset, max_records=100)
        latest |= {record.key: record.value for record in records}
        offset = records[-1].offset + 1
    assert latest == {b"a": b"a2", b"b": None}
    assert (await log.last_records(topic))[0].offset == 6


async def test_large_records_go_through_whole_and_in_order(log: Log, unique: Unique) -> None:
    topic = unique("topic")
    where = TopicPartition(topic, 0)
    await log.create_topics([topic], partitions=1)
    batch = [Outgoing(key=b"k", headers=[], value=bytes([number]) * 200_000) for number in range(20)]
    batch.append(Outgoing(key=b"k", headers=[], value=b"!" * 900_000))
    await publish(log, {where: batch})

    subscription = await log.subscribe([topic], group=unique("group"), start_at=start_at(0))
    found = (await fetch(subscription, 21))[where]
    await subscription.close()
    assert [record.value for record in found] == [record.value for record in batch]


async def test_a_publisher_that_failed_is_closed_for_good(log: Log, unique: Unique) -> None:
    topic = unique("topic")
    await log.create_topics([topic], partitions=1)
    publisher = await log.publisher()
    with pytest.raises(LogUnavailable):
        await publisher.send({TopicPartition(unique("missing"), 0): outgoing("a")}, timeout_seconds=0.5)
    with pytest.raises(LogUnavailable, match="closed"):
        await publisher.send({TopicPartition(topic, 0): outgoing("a")}, timeout_seconds=5)
    await publisher.close()
    assert await log.end_offsets(topic) == {0: 0}


async def test_a_publisher_that_is_cancelled_is_closed_for_good(log: Log, unique: Unique) -> None:
    topic = unique("topic")
    await log.create_topics([topic], partitions=1)
    publisher = await log.publisher()
    sending = asyncio.create_task(publisher.send({TopicPartition(topic, 0): outgoing("a")}, timeout_seconds=5))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    with pytest.raises(LogUnavailable, match="closed"):
        await publisher.send({TopicPartition(topic, 0): outgoing("b")}, timeout_seconds=5)


async def test_topics_are_created_once_and_never_resized(log: Log, unique: Unique) -> None:
    topic = unique("topic")
    await log.create_topics([topic], partitions=2)
    await publish(log, {TopicPartition(topic, 1): outgoing("a")})
    await log.create_topics([topic], partitions=2)
    assert await log.end_offsets(topic) == {0: 0, 1: 1}
    with pytest.raises(ValueError, match="2 partitions, not 3"):
        await log.create_topics([topic], partitions=3)


@pytest.fixture
def server(kind: str, request: pytest.FixtureRequest) -> Any:
    """The server under the log, which the test may stop."""
    return request.getfixturevalue("private_postgres" if kind == "local" else "kafka")


async def test_what_was_acknowledged_survives_a_crash_of_the_server(kind: str, server: Any, unique: Unique) -> None:
    topic = unique("topic")
    where = TopicPartition(topic, 0)
    if kind == "local":
        await server.ensure_database("log")
    log = await open_quick(kind, server.dsn("log") if kind == "local" else server.bootstrap_servers)
    await log.create_topics([topic], partitions=1)
    await publish(log, {where: outgoing("a", "b")})
    subscription = await log.subscribe([topic], group=unique("group"), start_at=start_after(place := {where: 0}))
    assert values((await fetch(subscription, 2))[where]) == ["a", "b"]
    place[where] = 2
    publisher = await log.publisher()

    await asyncio.to_thread(server.stop_immediately if kind == "local" else server.kill)
    before = time.monotonic()
    with pytest.raises(LogUnavailable):
        await publisher.send({where: outgoing("never acknowledged")}, timeout_seconds=1)
    with pytest.raises(LogUnavailable):
        await log.end_offsets(topic)
    with contextlib.suppress(LogUnavailable):
        assert await subscription.fetch(max_records=10, timeout_seconds=0.5) == {}
    assert time.monotonic() - before < 20
    server.start()  # in the main thread: the kernel ends a server with the thread that started it

    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            try:
                await publish(log, {where: outgoing("c")})
                break
            except LogUnavailable:
                await asyncio.sleep(0.1)
    found: list[str] = []
    async with asyncio.timeout(30):
        while "c" not in found:
            try:
                for records in (await subscription.fetch(max_records=10, timeout_seconds=0.5)).values():
                    found += values(records)
                    place[where] = records[-1].offset + 1
            except LogUnavailable:
                await asyncio.sleep(0.1)
    # A dead publisher's record may still have reached the log, but never twice, and never after what came later.
    assert found in (["c"], ["never acknowledged", "c"])
    await subscription.close()
    await log.close()


@pytest.mark.kafka
async def test_a_kafka_consumer_that_falls_silent_is_rebuilt(kafka: Any, unique: Unique) -> None:
    topic = unique("topic")
    where = TopicPartition(topic, 0)
    log = await open_quick("kafka", kafka.bootstrap_servers)
    await log.create_topics([topic], partitions=1)
    await publish(log, {where: outgoing("a")})
    subscription: Any = await log.subscribe([topic], group=unique("group"), start_at=start_after(place := {where: 0}))
    assert values((await fetch(subscription, 1))[where]) == ["a"]
    place[where] = 1

    # What its users see of it when it happens by itself: nothing is fetched any more, and nobody is told.
    subscription._consumer._fetcher._fetch_task.cancel()
    await publish(log, {where: outgoing("b")})
    found: list[str] = []
    rebuilt = False
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not found:
            try:
                for records in (await subscription.fetch(max_records=10, timeout_seconds=0.5)).values():
                    found += values(records)
            except LogUnavailable as error:
                rebuilt = rebuilt or "rebuilt" in str(error)
    assert found == ["b"]
    assert rebuilt
    await subscription.close()
    await log.close()


@pytest.mark.kafka
async def test_a_kafka_topic_that_is_deleted_is_missed_loudly(kafka: Any, unique: Unique) -> None:
    kept, lost = unique("kept"), unique("lost")
    log = await open_quick("kafka", kafka.bootstrap_servers)
    await log.create_topics([kept, lost], partitions=1)
    await publish(log, {TopicPartition(kept, 0): outgoing("a"), TopicPartition(lost, 0): outgoing("b")})
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    await admin.delete_topics([lost])
    await admin.close()

    subscription = await log.subscribe([kept, lost], group=unique("group"), start_at=start_at(0))
    with pytest.raises(LogUnavailable, match=f"topic {lost} is gone"):
        await fetch(subscription, 1)
    await subscription.close()
    await log.close()


async def chosen_settings(bootstrap_servers: str, topic: str) -> dict[str, str]:
    """The settings that a topic was given, without those of the broker."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    [response] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    await admin.close()
    [(_, _, _, _, entries)] = response.resources
    of_the_topic = 1
    return {name: value for name, value, _, source, *_ in entries if source == of_the_topic}


@pytest.mark.kafka
async def test_kafka_keeps_facts_for_good_and_soon_compacts_what_is_to_be_compacted(kafka: Any, unique: Unique) -> None:
    facts, latest = unique("facts"), unique("latest")
    log = await open_quick("kafka", kafka.bootstrap_servers)
    await log.create_topics([facts], partitions=1)
    await log.create_topics([latest], partitions=1, compacted=True)
    await log.close()
    assert await chosen_settings(kafka.bootstrap_servers, facts) == {"retention.ms": "-1", "retention.bytes": "-1"}
    assert await chosen_settings(kafka.bootstrap_servers, latest) == {
        "cleanup.policy": "compact",
        "segment.ms": "300000",
    }
