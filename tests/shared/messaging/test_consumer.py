"""The whole consumer, on both logs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from prometheus_client import REGISTRY

from deploy.local.postgres import EmbeddedPostgres
from shared.database import Pool, open_writer
from shared.messaging import consumer as module
from shared.messaging.consumer import Consumer
from shared.messaging.facts import InboundFact, LaneFacts
from shared.messaging.local import LocalLog
from shared.messaging.log import Log, Outgoing, StartAt, Subscription, TopicPartition
from shared.messaging.progress import Progress
from shared.messaging.recovery import accept_epoch, read_again
from shared.migrate import KERNEL, migrate
from shared.observability.settings import ObservabilitySettings
from shared.observability.traces import tracing
from shared.position import Position, Token
from tests.support.toy import TABLES, ToyProjection, ToyRecord, Writer, tables, value

PARTITIONS = 4

Check: TypeAlias = Callable[[], Awaitable[bool]]


@pytest.fixture
def topic(unique: Callable[[str], str]) -> str:
    return unique("toy")


@pytest.fixture
def projection(topic: str, unique: Callable[[str], str]) -> ToyProjection:
    return ToyProjection(unique("consumer"), [topic])


@pytest.fixture
async def writers(log: Log, topic: str) -> list[Writer]:
    await log.create_topics([topic], partitions=PARTITIONS)
    return [Writer(topic, number) for number in range(PARTITIONS)]


async def publish(log: Log, records: Iterable[ToyRecord]) -> None:
    batches: dict[TopicPartition, list[Outgoing]] = {}
    for record in records:
        where = TopicPartition(record.topic, record.partition)
        batches.setdefault(where, []).append(Outgoing(record.key, record.headers, record.value))
    publisher = await log.publisher()
    try:
        await publisher.send(batches, timeout_seconds=10)
    finally:
        await publisher.close()


def consumer_of(projection: ToyProjection, pool: Pool, log: Any, **options: Any) -> Consumer:
    return Consumer(projection, pool, log, service="toy", partitions=PARTITIONS, **options)


@asynccontextmanager
async def running(*consumers: Consumer) -> AsyncIterator[None]:
    """Runs them; afterwards all must stop within five seconds."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(each.run(stop)) for each in consumers]
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks)


async def until(check: Check, seconds: float = 20) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not await check():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"not within {seconds} s: {check.__qualname__}")


def total(pool: Pool, expected: int) -> Check:
    async def check() -> bool:
        return (await tables(pool))[1] == expected

    return check


def says(consumer: Consumer, text: str) -> Check:
    async def check() -> bool:
        return any(text in reason for reason in consumer.not_ready())

    return check


def ready(consumer: Consumer) -> Check:
    async def check() -> bool:
        return consumer.not_ready() == []

    return check


async def test_everything_is_folded_once_in_order_and_what_comes_later_too(
    log: Log, writers: list[Writer], projection: ToyProjection, toy_pool: Pool
) -> None:
    for number in range(400):
        writers[number % PARTITIONS].write(f"k{number % 7}-{number % PARTITIONS}")
    await publish(log, [record for writer in writers for record in writer.records])
    consumer = consumer_of(projection, toy_pool, log, batch_records=30)
    async with running(consumer):
        await until(total(toy_pool, 400))
        await publish(log, [writer.write("later") for writer in writers])
        await until(total(toy_pool, 404))
        assert consumer.not_ready() == []
    counts, _ = await tables(toy_pool)
    for writer in writers:
        # The last position of a key is that of its last record: nobody overtook anybody.
        expected = {
            record.key.decode(): dict(record.headers)["ce_position"].decode()
            for record in writer.records
            if record.key != b"later"
        }
        assert {key: counts[key][1] for key in expected} == expected


async def test_a_consumer_goes_on_where_the_lane_rows_say(
    log: Log, writers: list[Writer], projection: ToyProjection, toy_pool: Pool
) -> None:
    await publish(log, [writers[0].write("ana") for _ in range(10)])
    async with running(consumer_of(projection, toy_pool, log)):
        await until(total(toy_pool, 10))
    await publish(log, [writers[0].write("ana") for _ in range(5)])
    successor = ToyProjection(projection.consumer, projection.topics)
    async with running(consumer_of(successor, toy_pool, log)):
        await until(total(toy_pool, 15))
    assert sum(successor.calls) == 5


async def test_members_come_and_go_and_nothing_is_lost_or_repeated(
    log: Log, writers: list[Writer], projection: ToyProjection, toy_pool: Pool
) -> None:
    async def publish_slowly() -> None:
        for _ in range(60):
            await publish(log, [writer.write(f"k{writer.sequence % 5}") for writer in writers for _ in range(5)])
            await asyncio.sleep(0.05)

    publishing = asyncio.create_task(publish_slowly())
    async with running(consumer_of(projection, toy_pool, log)):
        await asyncio.sleep(0.5)
        other = ToyProjection(projection.consumer, projection.topics)
        async with running(consumer_of(other, toy_pool, log)):
            await until(lambda: asyncio.sleep(0, bool(other.calls)))
            await asyncio.sleep(0.5)
        await publishing
        await until(total(toy_pool, 60 * 5 * PARTITIONS), seconds=30)
    await asyncio.sleep(0.1)
    assert (await tables(toy_pool))[1] == 60 * 5 * PARTITIONS


class _Wrapped:
    """A log, but for one thing."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


class _OtherGroup(_Wrapped):
    """Reads as a member of another group, and so the same partitions at the same time."""

    async def subscribe(self, topics: Sequence[str], *, group: str, start_at: StartAt) -> Subscription:
        return await self._log.subscribe(topics, group=f"{group}-zombie", start_at=start_at)


async def test_a_zombie_on_the_same_lanes_at_once_applies_nothing_twice(
    log: Log, writers: list[Writer], projection: ToyProjection, toy_pool: Pool
) -> None:
    """The old owner works alone, then beside the new one on the same records, then the new one is alone."""
    zombie = ToyProjection(projection.consumer, projection.topics)
    written = 0

    async def write(rounds: int) -> None:
        nonlocal written
        for _ in range(rounds):
            await publish(log, [writer.write(f"k{n % 9}-{writer.partition}") for writer in writers for n in range(25)])
            written += 25 * PARTITIONS

    owner = consumer_of(projection, toy_pool, log, batch_records=30)
    async with AsyncExitStack() as stack:
        async with running(consumer_of(zombie, toy_pool, _OtherGroup(log), batch_records=30)):
            await write(1)
            await until(total(toy_pool, written))
            await stack.enter_async_context(running(owner))
            # The new owner finds out by itself what is done, and stays at the heels of the old one.
            await until(lambda: asyncio.sleep(0, len(owner._assigned) == PARTITIONS))
            await write(20)
            await until(total(toy_pool, written))
        await write(1)
        await until(total(toy_pool, written))
        assert owner.not_ready() == []
    assert zombie.calls
    assert projection.calls
    counts, sum_of_all = await tables(toy_pool)
    assert sum_of_all == sum(n for n, _ in counts.values()) == 22 * 25 * PARTITIONS


class _Skipping(_Wrapped):
    """Its client leaves records out once, as one does that delivers before it has sought."""

    skipped = 0

    async def subscribe(self, topics: Sequence[str], *, group: str, start_at: StartAt) -> Any:
        outer, subscription = self, await self._log.subscribe(topics, group=group, start_at=start_at)

        class Skip(_Wrapped):
            async def fetch(self, **options: Any) -> Mapping[TopicPartition, Sequence[InboundFact]]:
                fetched = dict(await subscription.fetch(**options))
                if fetched and not outer.skipped:
                    outer.skipped = 1
                    fetched = {partition: records[2:] for partition, records in fetched.items()}
                return fetched

        return Skip(subscription)  # type: ignore[arg-type]


async def test_what_the_client_skipped_is_read_again_without_stopping(
    log: Log, writers: list[Writer], projection: ToyProjection, toy_pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    await publish(log, [writer.write("ana") for writer in writers for _ in range(5)])
    skipping = _Skipping(log)
    consumer = consumer_of(projection, toy_pool, skipping)
    async with running(consumer):
        await until(total(toy_pool, 5 * PARTITIONS))
        assert consumer.not_ready() == []
    assert skipping.skipped
    assert "consumer.halted" not in caplog.messages


async def test_a_gap_in_the_log_stops_its_partition_and_names_what_is_missing(
    log: Log, writers: list[Writer], projection: ToyProjection, toy_pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    before, _, after = (writers[1].write("ana") for _ in range(3))
    await publish(log, [before, after, writers[0].write("bob")])
    consumer = consumer_of(projection, toy_pool, log)
    async with running(consumer):
        await until(says(consumer, "the facts after 1-1001-1 up to 1-1002-2 are missing before 1-1003-3."))
        assert "consumer.halted" in caplog.messages
        await publish(log, [writers[0].write("bob"), writers[1].write("ana")])
        await until(total(toy_pool, 3))
        assert len(consumer.not_ready()) == 1
    counts, _ = await tables(toy_pool)
    assert {key: n for key, (n, _) in counts.items()} == {"ana": 1, "bob": 2}


async def test_a_risen_epoch_stops_until_it_is_accepted_and_then_goes_on_by_itself(
    log: Log,
    writers: list[Writer],
    projection: ToyProjection,
    toy_pool: Pool,
    topic: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HALT_RETRY_SECONDS", 0.3)
    await publish(log, [writers[0].write("ana"), writers[0].write("void")])
    consumer = consumer_of(projection, toy_pool, log)
    async with running(consumer):
        await until(total(toy_pool, 2))
        risen = writers[0].write_at(Position(2, 5, 5), Position(1, 1001, 1), "bob", value())
        await publish(log, [risen])
        await until(says(consumer, "epoch 2 follows epoch 1"))
        assert (await tables(toy_pool))[1] == 2
        await accept_epoch(toy_pool, projection.consumer, topic, 2)
        await until(total(toy_pool, 3))
        await until(ready(consumer))


async def test_an_offset_that_is_gone_is_a_reason_until_the_operator_has_it_read_again(
    log: Log, writers: list[Writer], projection: ToyProjection, toy_pool: Pool, topic: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(module, "TROUBLE_SECONDS", 0.0)
    await publish(log, [writers[0].write("ana"), writers[0].write("bob")])
    async with running(consumer_of(projection, toy_pool, log)):
        await until(total(toy_pool, 2))
    # What a topic that was lost and made anew looks like from here.
    await toy_pool.execute("update lane_topics set next_offset = 1000 where lane = 0")
    consumer = consumer_of(projection, toy_pool, log)
    async with running(consumer):
        await until(says(consumer, "OffsetGone"))
        await read_again(toy_pool, projection.consumer, topic)
        await publish(log, [writers[0].write("cyd")])
        await until(total(toy_pool, 3))
        await until(ready(consumer))


async def test_passing_trouble_is_retried_and_parks_nothing(
    log: Log, writers: list[Writer], projection: ToyProjection, toy_pool: Pool
) -> None:
    projection.failures = [
        asyncpg.DeadlockDetectedError("deadlock detected"),
        asyncpg.LockNotAvailableError("lock timeout"),
        ConnectionResetError(),
        RuntimeError("a mistake in the fold"),
    ]
    await publish(log, [writers[0].write("ana") for _ in range(3)])
    async with running(consumer_of(projection, toy_pool, log)):
        await until(total(toy_pool, 3))
    assert projection.failures == []
    assert await toy_pool.fetchval("select count(*) from dead_letters") == 0


async def test_a_poisoned_record_parks_its_key_while_the_rest_flows_and_the_metric_rises(
    log: Log, writers: list[Writer], projection: ToyProjection, toy_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.05)
    labels = {"service": "toy", "consumer": projection.consumer}
    await publish(log, [writers[0].write(key, n) for key, n in [("ana", 1), ("bob", -1), ("bob", 1), ("cyd", 1)]])

    async def one_is_parked() -> bool:
        return REGISTRY.get_sample_value("qunli_parked_keys", labels) == 1

    async def nothing_waits() -> bool:
        return REGISTRY.get_sample_value("qunli_projection_lag_events", labels) == 0

    consumer = consumer_of(projection, toy_pool, log)
    async with running(consumer):
        await until(total(toy_pool, 2))
        await until(one_is_parked)
        await until(nothing_waits)
        assert consumer.not_ready() == []
    assert await toy_pool.fetchval("select count(*) from dead_letters") == 2


async def test_the_fetch_is_held_back_while_folding_is_slow(
    log: Log, writers: list[Writer], toy_pool: Pool, projection: ToyProjection
) -> None:
    class Slow(ToyProjection):
        async def apply(self, connection: Any, lanes: Sequence[LaneFacts]) -> None:
            await asyncio.sleep(0.02)
            await super().apply(connection, lanes)

    slow = Slow(projection.consumer, projection.topics)
    await publish(log, [writer.write("ana" + str(writer.partition)) for writer in writers for _ in range(1000)])
    consumer = consumer_of(slow, toy_pool, log, batch_records=50, workers=2)
    waiting = 0
    async with running(consumer):
        while (await tables(toy_pool))[1] < 1000 * PARTITIONS:
            waiting = max(waiting, consumer._backlog.waiting)
            await asyncio.sleep(0.005)
    # Two batches for each worker are the mark; one fetch may go over it.
    assert 50 < waiting <= 2 * 2 * 50 + 50
    assert max(slow.calls) <= 50


async def test_lag_without_advance_is_told(
    log: Log, writers: list[Writer], projection: ToyProjection, toy_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.05)

    class Hanging(ToyProjection):
        async def apply(self, connection: Any, lanes: Sequence[LaneFacts]) -> None:
            await asyncio.sleep(3600)

    consumer = consumer_of(Hanging(projection.consumer, projection.topics), toy_pool, log)
    async with running(consumer):
        await asyncio.sleep(0.5)
        assert consumer.stalled(0.1) is None
        await publish(log, [writers[2].write("ana") for _ in range(4)])

        async def stalled() -> bool:
            return "partition 2: 4 records wait" in (consumer.stalled(0.5) or "")

        await until(stalled)
        assert consumer.stalled(60) is None


async def test_who_waits_for_progress_is_woken_by_the_commit(
    log: Log, writers: list[Writer], projection: ToyProjection, toy_pool: Pool, topic: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("shared.messaging.progress.POLL_SECONDS", 60)
    progress = Progress(toy_pool, projection.consumer, {"toy": topic}, partitions=PARTITIONS)
    async with running(consumer_of(projection, toy_pool, log, advanced=progress.advanced)):
        waiting = asyncio.create_task(progress.wait_for([Token("toy", 3, Position(1, 1001, 1))], timeout_seconds=20))
        await asyncio.sleep(0.3)
        await publish(log, [writers[3].write("ana")])
        await waiting


async def test_sampled_traces_go_on_into_the_projection(
    log: Log, writers: list[Writer], projection: ToyProjection, toy_pool: Pool
) -> None:
    spans = InMemorySpanExporter()
    tracing.configure(ObservabilitySettings(trace_ratio=0.0), SimpleSpanProcessor(spans))
    try:
        sampled, unsampled = f"00-{'a' * 32}-{'b' * 16}-01", f"00-{'c' * 32}-{'d' * 16}-00"
        await publish(
            log,
            [
                writers[0].write("ana", trace=sampled),
                writers[0].write("bob"),
                writers[0].write("cyd", trace=unsampled),
            ],
        )
        async with running(consumer_of(projection, toy_pool, log)):
            await until(total(toy_pool, 3))
            (span,) = spans.get_finished_spans()
    finally:
        tracing.shut_down()
    assert (span.name, span.kind) == ("project toy.counted.v1", SpanKind.CONSUMER)
    assert span.context.trace_id == int("a" * 32, 16)
    assert span.parent is not None
    assert span.parent.span_id == int("b" * 16, 16)


async def test_topics_of_another_width_are_refused(
    log: Log, writers: list[Writer], projection: ToyProjection, toy_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TROUBLE_SECONDS", 0.0)
    consumer = Consumer(projection, toy_pool, log, service="toy", partitions=PARTITIONS + 1)
    async with running(consumer):
        await until(says(consumer, "partitions"))


async def test_the_database_may_go_away_and_come_back(
    private_postgres: EmbeddedPostgres, database: str, unique: Callable[[str], str]
) -> None:
    log = await LocalLog.open(database)
    await private_postgres.ensure_database("reader")
    await migrate(private_postgres.dsn("reader"), KERNEL)
    pool = await open_writer(private_postgres.dsn("reader"), name="toy", size=4)
    await pool.execute(TABLES)
    name = unique("toy")
    await log.create_topics([name], partitions=PARTITIONS)
    writers = [Writer(name, number) for number in range(PARTITIONS)]
    consumer = consumer_of(ToyProjection("toy", [name]), pool, log)
    async with running(consumer):
        await publish(log, [writer.write("ana") for writer in writers])
        await until(total(pool, 4))
        private_postgres.stop_immediately()
        await publish(log, [writer.write("ana") for writer in writers])
        await asyncio.sleep(1)
        private_postgres.start()
        await until(lambda: _reachable(pool))
        await until(total(pool, 8), seconds=10)
    assert await pool.fetchval("select count(*) from dead_letters") == 0
    await pool.close()
    await log.close()


async def _reachable(pool: Pool) -> bool:
    try:
        return bool(await pool.fetchval("select true", timeout=2))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
