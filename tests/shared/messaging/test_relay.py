"""The relay on real logs: everything committed arrives, in order, in a chain without gaps, whatever breaks."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import asyncpg
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared import failpoints
from shared.database import Pool, open_writer
from shared.messaging import outbox
from shared.messaging import relay as relay_module
from shared.messaging.chain import Chain
from shared.messaging.cloudevents import read_envelopes
from shared.messaging.epochs import raise_epoch
from shared.messaging.kafka import KafkaLog
from shared.messaging.local import LocalLog
from shared.messaging.log import Log, Outgoing, Publisher, Record, TopicPartition
from shared.messaging.relay import Relay
from shared.migrate import KERNEL, migrate
from shared.observability import metrics
from shared.observability.settings import ObservabilitySettings
from shared.observability.traces import tracing
from shared.position import START, Position
from tests.support.relaying import running, until

PARTITIONS = 3
RAISING: Any = {"service": "toy", "partitions": PARTITIONS}
TYPES = {"toy.happened.v1"}
TRACEPARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"

Insert: TypeAlias = Callable[..., Awaitable[list[str]]]
Unique: TypeAlias = Callable[[str], str]

_INSERT = """
insert into outbox (epoch, transaction_id, sequence, topic, partition, key, headers, value)
select (select epoch from database_epoch), pg_current_xact_id(), nextval('position_sequence'), $1,
       row.partition, 'ana', jsonb_build_object('ce_type', 'toy.happened.v1', 'ce_id', row.id) || $4::text::jsonb,
       '{"recorded_at": "2026-03-01T12:00:00Z"}'::bytea
  from unnest($2::smallint[], $3::text[]) as row (partition, id)
"""


@pytest.fixture
async def pool(kernel_database: str) -> AsyncIterator[Pool]:
    pool = await open_writer(kernel_database, name="relay-test", size=12)
    yield pool
    await pool.close()


@pytest.fixture
def topic(unique: Unique) -> str:
    return unique("toy.events")


async def insert(
    connection: Any, topic: str, partitions: Sequence[int], ids: Sequence[str], headers: str = "{}"
) -> None:
    """Write outbox rows, and wake the relay, as the append does."""
    await connection.execute(_INSERT, topic, partitions, ids, headers)
    await connection.execute("select pg_notify('outbox', '')")


async def committed(pool: Pool, topic: str) -> dict[int, list[str]]:
    """The ids in the outbox by partition, in the order in which they must arrive."""
    rows = await pool.fetch(
        """
        select partition, headers ->> 'ce_id' as id from outbox where topic = $1
         order by epoch, transaction_id, sequence
        """,
        topic,
    )
    found: dict[int, list[str]] = {}
    for row in rows:
        found.setdefault(row["partition"], []).append(row["id"])
    return found


async def records(log: Log, topic: str) -> dict[int, list[Record]]:
    """Everything in the log, by partition."""
    found: dict[int, list[Record]] = {}
    for partition, end in (await log.end_offsets(topic)).items():
        read: list[Record] = []
        while len(read) < end:
            read += await log.read(TopicPartition(topic, partition), offset=len(read), max_records=1000)
        if read:
            found[partition] = read
    return found


def ids(found: Mapping[int, Sequence[Record]]) -> dict[int, list[str]]:
    return {partition: [dict(each.headers)["ce_id"].decode() for each in read] for partition, read in found.items()}


def told(found: Mapping[int, Sequence[Record]], accepted_epoch: int = 9) -> dict[int, list[str]]:
    """The ids that a reader that checks the chain gets: repeats dropped, gaps refused."""
    result = {}
    for partition, read in found.items():
        facts, halt = Chain(accepted_epoch=accepted_epoch).read(read_envelopes(read), TYPES)
        assert halt is None, halt
        if facts:
            result[partition] = [fact.event_id for fact in facts]
    return result


async def until_told(log: Log, topic: str, expected: Mapping[int, Sequence[str]], seconds: float = 20.0) -> None:
    async def arrived() -> bool:
        enough = sum((await log.end_offsets(topic)).values()) >= sum(map(len, expected.values()))
        return enough and told(await records(log, topic)) == expected

    await until(arrived, seconds)


def gauge(metric: Any) -> float:
    return float(metric.labels("toy")._value.get())


def make_relay(dsn: str, log: Log, topic: str, **settings: Any) -> Relay:
    return Relay(dsn, log, service="toy", topic=topic, partitions=PARTITIONS, **settings)


async def test_what_concurrent_writers_commit_arrives_once_and_in_order(
    kernel_database: str, pool: Pool, log: Log, topic: str
) -> None:
    chance = random.Random(7)

    async def write(writer: int) -> None:
        for number in range(25):
            async with pool.acquire() as connection:
                transaction = connection.transaction()
                await transaction.start()
                for part in range(chance.randint(1, 3)):
                    partitions = [chance.randrange(PARTITIONS) for _ in range(3)]
                    await insert(connection, topic, partitions, [f"{writer}-{number}-{part}-{i}" for i in range(3)])
                    await asyncio.sleep(chance.random() * 0.01)
                if chance.random() < 0.2:
                    await transaction.rollback()
                else:
                    await transaction.commit()

    relay = make_relay(kernel_database, log, topic, round_rows=40)
    async with running(relay):
        await asyncio.gather(*(write(writer) for writer in range(8)))
        expected = await committed(pool, topic)
        await until_told(log, topic, expected)
        assert relay.not_ready() == []
    assert ids(await records(log, topic)) == expected
    assert sum(map(len, expected.values())) > 200


async def test_a_transaction_held_open_is_waited_for_and_not_lost(
    kernel_database: str, pool: Pool, log: Log, topic: str
) -> None:
    async with running(make_relay(kernel_database, log, topic)), pool.acquire() as slow, pool.acquire() as quick:
        transaction = slow.transaction()
        await transaction.start()
        await insert(slow, topic, [0], ["slow"])
        await insert(quick, topic, [0], ["quick"])
        await asyncio.sleep(0.6)
        assert await records(log, topic) == {}
        await transaction.commit()
        await until_told(log, topic, {0: ["slow", "quick"]})


async def test_a_record_carries_the_envelope_in_order_and_its_place(
    kernel_database: str, pool: Pool, log: Log, topic: str
) -> None:
    headers = """{"ce_specversion": "1.0", "ce_source": "/toy", "ce_subject": "s", "ce_time": "t", "ce_dataschema": "d",
                  "content-type": "application/json", "other": "x"}"""
    await insert(pool, topic, [0, 0], ["a", "b"], headers)
    async with running(make_relay(kernel_database, log, topic)):
        await until_told(log, topic, {0: ["a", "b"]})
    first, second = (await records(log, topic))[0]
    assert [name for name, _ in first.headers] == [
        "ce_specversion",
        "ce_id",
        "ce_type",
        "ce_source",
        "ce_subject",
        "ce_time",
        "ce_dataschema",
        "content-type",
        "other",
        "ce_position",
        "ce_previous",
    ]
    assert dict(first.headers)["ce_previous"] == str(START).encode()
    assert dict(second.headers)["ce_previous"] == dict(first.headers)["ce_position"]
    assert (first.key, first.value) == (b"ana", b'{"recorded_at": "2026-03-01T12:00:00Z"}')


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Let a failpoint raise at its Nth hit."""

    def arm(point: str, hit: int) -> None:
        assert point in failpoints.POINTS
        monkeypatch.setitem(failpoints._armed, point, failpoints._Armed("raise", hit))

    monkeypatch.setattr(relay_module, "BACKOFF_SECONDS", (0.05, 0.2))
    return arm


@pytest.mark.parametrize(
    "point",
    [
        "relay.after-read",
        "relay.after-send",
        "relay.after-first-ack",
        "relay.after-all-acks",
        "relay.after-checkpoint",
    ],
)
async def test_a_relay_that_breaks_anywhere_repeats_but_neither_loses_nor_breaks_the_chain(
    kernel_database: str, pool: Pool, log: Log, topic: str, point: str, arm: Callable[[str, int], None]
) -> None:
    arm(point, 2)
    for number in range(6):
        await insert(pool, topic, [0, 1, 2, 0, 1], [f"{number}-{place}" for place in range(5)])
    expected = await committed(pool, topic)
    async with running(make_relay(kernel_database, log, topic, round_rows=7)):
        await until_told(log, topic, expected)
    assert failpoints._armed[point].hits >= 2
    position, _ = await outbox.checkpoint(pool, topic)
    assert str(position) == await pool.fetchval(
        "select max(format('%s-%s-%s', epoch, transaction_id, sequence)) from outbox"
    )


class Held:
    """The log, its publishers stopped before they send until they are let go."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.reached, self.let_go = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def publisher(self) -> Publisher:
        held, publisher = self, await self._log.publisher()

        class HeldPublisher:
            async def send(
                self, batches: Mapping[TopicPartition, Sequence[Outgoing]], *, timeout_seconds: float
            ) -> None:
                held.reached.set()
                await held.let_go.wait()
                await publisher.send(batches, timeout_seconds=timeout_seconds)

            async def close(self) -> None:
                await publisher.close()

        return HeldPublisher()


async def test_two_relays_alive_only_repeat(kernel_database: str, pool: Pool, log: Log, topic: str) -> None:
    await insert(pool, topic, [0, 1, 0], ["a", "b", "c"])
    slow_log = Held(log)
    async with running(make_relay(kernel_database, slow_log, topic, round_rows=2)):
        await slow_log.reached.wait()
        # The slow one has read a round, and now loses its lock without noticing.
        await pool.fetch(
            """
            select pg_terminate_backend(pid)
              from pg_locks
             where locktype = 'advisory'
               and classid = hashtext('relay')
               and database = (select oid from pg_database where datname = current_database())
            """
        )
        async with running(make_relay(kernel_database, log, topic)):
            await insert(pool, topic, [0, 1], ["d", "e"])
            expected = {0: ["a", "c", "d"], 1: ["b", "e"]}
            await until_told(log, topic, expected)
            slow_log.let_go.set()

            async def repeated() -> bool:
                return sum(map(len, (await records(log, topic)).values())) > 5

            await until(repeated)
            await insert(pool, topic, [0, 1], ["f", "g"])
            await until_told(log, topic, {0: ["a", "c", "d", "f"], 1: ["b", "e", "g"]})


async def test_a_relay_that_comes_back_goes_on_from_the_checkpoint(
    kernel_database: str, pool: Pool, log: Log, topic: str
) -> None:
    """And not from what it remembers: another one was at work meanwhile."""
    first, second = make_relay(kernel_database, log, topic), make_relay(kernel_database, log, topic)
    sent: list[str] = []
    for relay, event in ((first, "a"), (second, "b"), (first, "c")):
        async with running(relay):
            await insert(pool, topic, [0], [event])
            sent.append(event)
            await until_told(log, topic, {0: sent})


async def test_a_checkpoint_moves_only_from_where_it_was_read(pool: Pool, topic: str) -> None:
    await outbox.ensure_checkpoint(pool, topic)
    await insert(pool, topic, [0], ["a"])
    found = await outbox.read(pool, topic, limit=10)
    [row] = found.rows

    async def advance() -> bool:
        position = row.position
        return await outbox.advance(
            pool, topic, revision=found.revision, position=position, last_positions={0: str(position)}
        )

    assert await advance()
    assert not await advance()
    assert (await outbox.read(pool, topic, limit=10)).rows == []
    assert (await outbox.read(pool, topic, limit=10)).last_positions == {0: str(row.position)}


async def test_a_standby_only_stands_by_and_takes_over(kernel_database: str, pool: Pool, log: Log, topic: str) -> None:
    sent = ["a"]
    await insert(pool, topic, [0], sent)
    standby = make_relay(kernel_database, log, topic)
    async with running(make_relay(kernel_database, log, topic)):
        await until_told(log, topic, {0: sent})
        task = running(standby)
        await task.__aenter__()
        await asyncio.sleep(0.3)
        assert standby.not_ready() == []
        for number in range(20):
            await insert(pool, topic, [0], [f"b{number}"])
            sent.append(f"b{number}")
            await until_told(log, topic, {0: sent})
    await insert(pool, topic, [0], ["c"])
    sent.append("c")
    await until_told(log, topic, {0: sent})
    await task.__aexit__(None, None, None)
    assert ids(await records(log, topic)) == {0: sent}


@pytest.mark.kafka
async def test_while_the_broker_is_away_commits_go_on_and_the_relay_catches_up(
    kernel_database: str, pool: Pool, kafka: Any, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "SEND_SECONDS", 1.0)
    monkeypatch.setattr(relay_module, "MEASURE_SECONDS", 0.1)
    log = await KafkaLog.open(kafka.bootstrap_servers)
    relay = make_relay(kernel_database, log, topic)
    async with running(relay):
        await insert(pool, topic, [0], ["before"])
        await until_told(log, topic, {0: ["before"]})
        await asyncio.to_thread(kafka.kill)
        for number in range(20):
            await insert(pool, topic, [number % PARTITIONS], [str(number)])

        async def noticed() -> bool:
            return bool(relay.not_ready()) and gauge(metrics.OUTBOX_BACKLOG_EVENTS) == 20

        await until(noticed)
        assert gauge(metrics.OUTBOX_OLDEST_AGE_SECONDS) > 0
        kafka.start()
        await until_told(log, topic, await committed(pool, topic), seconds=40)
        assert relay.not_ready() == []
    await log.close()


async def test_a_database_that_comes_back_is_relayed_on(
    private_postgres: Any, database: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "BACKOFF_SECONDS", (0.05, 0.2))
    await private_postgres.ensure_database("service")
    dsn = private_postgres.dsn("service")
    await migrate(dsn, KERNEL)
    log = await LocalLog.open(database)
    relay = make_relay(dsn, log, topic)
    async with running(relay):
        connection = await asyncpg.connect(dsn)
        await insert(connection, topic, [0], ["before"])
        await connection.close()
        await until_told(log, topic, {0: ["before"]})
        private_postgres.stop_immediately()

        async def noticed() -> bool:
            return relay.not_ready() != []

        await until(noticed)
        private_postgres.start()
        connection = await asyncpg.connect(dsn)
        await insert(connection, topic, [0], ["after"])
        await connection.close()
        await until_told(log, topic, {0: ["before", "after"]})
        assert relay.not_ready() == []
    await log.close()


async def test_a_database_older_than_its_log_is_refused_until_its_epoch_is_raised(
    kernel_database: str, pool: Pool, log: Log, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "REFUSED_SECONDS", 0.1)
    await insert(pool, topic, [0, 1], ["kept", "kept too"])
    async with running(make_relay(kernel_database, log, topic)):
        await until_told(log, topic, {0: ["kept"], 1: ["kept too"]})
        backup = await pool.fetchrow("select * from relay_checkpoint")
        await insert(pool, topic, [0, 0], ["lost", "lost too"])
        await until_told(log, topic, {0: ["kept", "lost", "lost too"], 1: ["kept too"]})
    # The restore: what came after the backup is gone.
    await pool.execute("delete from outbox where headers ->> 'ce_id' like 'lost%'")
    await pool.execute(
        "update relay_checkpoint set epoch = $1, transaction_id = $2::text::xid8, sequence = $3, last_positions = $4",
        backup["epoch"],
        str(backup["transaction_id"]),
        backup["sequence"],
        backup["last_positions"],
    )
    await insert(pool, topic, [0], ["old epoch"])

    relay = make_relay(kernel_database, log, topic)
    async with running(relay):

        async def refused() -> bool:
            return any("raise its epoch" in reason for reason in relay.not_ready())

        await until(refused)
        await asyncio.sleep(0.3)
        assert ids(await records(log, topic)) == {0: ["kept", "lost", "lost too"], 1: ["kept too"]}

        assert await raise_epoch(kernel_database, log, topic, **RAISING) == 2
        await insert(pool, topic, [0], ["new epoch"])

        async def arrived() -> bool:
            return ids(await records(log, topic))[0][-1:] == ["new epoch"]

        await until(arrived)
        assert relay.not_ready() == []
    last = (await records(log, topic))[0][-1]
    assert Position.parse(dict(last.headers)["ce_position"]).epoch == 2
    # Restored once more, to before the raise: the next epoch is above the log's, not above the database's only.
    await pool.execute("update database_epoch set epoch = 1")
    assert await raise_epoch(kernel_database, log, topic, **RAISING) == 3


async def test_every_partition_tells_of_a_new_epoch_at_once(
    kernel_database: str, pool: Pool, log: Log, topic: str
) -> None:
    """Readers need not wait for a fact in each of them to hear what a restore has undone."""
    async with running(make_relay(kernel_database, log, topic)):
        await insert(pool, topic, [0, 1], ["a", "b"])
        await until_told(log, topic, {0: ["a"], 1: ["b"]})
        assert await raise_epoch(kernel_database, log, topic, **RAISING) == 2

        async def told_of() -> bool:
            return sum((await log.end_offsets(topic)).values()) == 2 + PARTITIONS

        await until(told_of)
    for partition, read in (await records(log, topic)).items():
        last = dict(read[-1].headers)
        assert last["ce_type"] == b"toy.epoch-raised.v1"
        assert last["ce_previous"] == (b"0-0-0" if partition == 2 else dict(read[0].headers)["ce_position"])
        assert Position.parse(last["ce_position"]).epoch == 2


async def test_another_database_is_refused(kernel_database: str, pool: Pool, log: Log, topic: str) -> None:
    stranger = [("ce_id", b"x"), ("ce_position", b"1-999999999-5"), ("ce_previous", b"0-0-0")]
    await log.create_topics([topic], partitions=PARTITIONS)
    publisher = await log.publisher()
    await publisher.send({TopicPartition(topic, 1): [Outgoing(b"k", stranger, b"{}")]}, timeout_seconds=10)
    await publisher.close()
    await insert(pool, topic, [0], ["a"])
    relay = make_relay(kernel_database, log, topic)
    async with running(relay):

        async def refused() -> bool:
            return any("partition 1" in reason and "another one" in reason for reason in relay.not_ready())

        await until(refused)
    assert (await log.end_offsets(topic))[0] == 0


async def test_a_log_that_lost_what_it_acknowledged_is_refused(
    kernel_database: str, pool: Pool, log: Log, topic: str
) -> None:
    await outbox.ensure_checkpoint(pool, topic)
    await insert(pool, topic, [2], ["a"])
    found = await outbox.read(pool, topic, limit=1)
    position = found.rows[0].position
    await outbox.advance(pool, topic, revision=found.revision, position=position, last_positions={2: str(position)})
    await insert(pool, topic, [2], ["b"])
    relay = make_relay(kernel_database, log, topic)
    async with running(relay):

        async def refused() -> bool:
            return any("the log has lost them" in reason for reason in relay.not_ready())

        await until(refused)
    assert await records(log, topic) == {}


async def test_rows_of_an_earlier_epoch_go_first_even_with_transaction_ids_of_the_future(
    kernel_database: str, pool: Pool, log: Log, topic: str
) -> None:
    await log.create_topics([topic], partitions=PARTITIONS)
    await insert(pool, topic, [0], ["old"])
    # A dump loaded into a new cluster keeps the ids that the old cluster had given.
    await pool.execute("update outbox set transaction_id = '900000000000'")
    await insert(pool, topic, [0], ["hidden"])
    assert await raise_epoch(kernel_database, log, topic, **RAISING) == 2
    await insert(pool, topic, [0], ["new"])
    async with running(make_relay(kernel_database, log, topic)):
        await until_told(log, topic, {0: ["hidden", "old", "new"]})


async def test_raising_the_epoch_waits_for_appends_that_may_carry_the_old_one(
    kernel_database: str, pool: Pool, log: Log, topic: str
) -> None:
    await log.create_topics([topic], partitions=PARTITIONS)
    async with running(make_relay(kernel_database, log, topic)), pool.acquire() as appending:
        transaction = appending.transaction()
        await transaction.start()
        # What an append does first: it compares heads, then reads the epoch.
        await appending.fetch("select version from events where stream_id = 'x'")
        raising = asyncio.create_task(raise_epoch(kernel_database, log, topic, **RAISING))
        await asyncio.sleep(0.3)
        assert not raising.done()
        await insert(appending, topic, [0], ["old epoch"])
        await transaction.commit()
        assert await raising == 2
        await insert(pool, topic, [0], ["new epoch"])
        await until_told(log, topic, {0: ["old epoch", "new epoch"]})


async def test_pruning_stops_at_the_checkpoint_and_keeps_the_end_of_every_partition(pool: Pool, topic: str) -> None:
    await outbox.ensure_checkpoint(pool, topic)
    await insert(pool, topic, [0, 0, 1, 0, 0], ["a", "b", "c", "d", "e"])
    found = await outbox.read(pool, topic, limit=4)
    last_positions = {row.partition: str(row.position) for row in found.rows}
    await outbox.advance(pool, topic, revision=0, position=found.rows[-1].position, last_positions=last_positions)
    everything = Position(9, 2**62, 2**62)
    assert await outbox.prune(pool, topic, through=found.rows[0].position, limit=100) == 1
    assert await outbox.prune(pool, topic, through=everything, limit=1) == 1
    assert await outbox.prune(pool, topic, through=everything, limit=100) == 0
    assert await committed(pool, topic) == {0: ["d", "e"], 1: ["c"]}


async def test_a_relay_prunes_what_it_has_sent_and_starts_again_from_what_is_left(
    kernel_database: str, pool: Pool, log: Log, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "PRUNE_SECONDS", 0.05)
    await insert(pool, topic, [0] * 50, [str(number) for number in range(50)])
    async with running(make_relay(kernel_database, log, topic, keep_seconds=0)):

        async def pruned() -> bool:
            return await committed(pool, topic) == {0: ["49"]}

        await until(pruned)
    await insert(pool, topic, [0], ["50"])
    relay = make_relay(kernel_database, log, topic, keep_seconds=3600)
    async with running(relay):
        await until_told(log, topic, {0: [str(number) for number in range(51)]})
        assert relay.not_ready() == []
    assert await committed(pool, topic) == {0: ["49", "50"]}


@pytest.mark.parametrize("waker", ["notify", "wake"])
async def test_a_commit_wakes_the_relay(
    kernel_database: str, pool: Pool, log: Log, topic: str, monkeypatch: pytest.MonkeyPatch, waker: str
) -> None:
    monkeypatch.setattr(relay_module, "POLL_SECONDS", 60.0)
    monkeypatch.setattr(relay_module, "FIRST_POLL_SECONDS", 60.0)
    relay = make_relay(kernel_database, log, topic)
    async with running(relay):

        async def ready() -> bool:
            return relay.not_ready() == []

        await until(ready)
        await asyncio.sleep(0.5)
        if waker == "notify":
            await insert(pool, topic, [0], ["a"])
        else:
            await pool.execute(_INSERT, topic, [0], ["a"], "{}")
            relay.wake()
        await until_told(log, topic, {0: ["a"]}, seconds=5)


async def test_the_age_of_the_oldest_writer_is_measured(
    kernel_database: str, pool: Pool, log: Log, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "MEASURE_SECONDS", 0.05)
    async with running(make_relay(kernel_database, log, topic)), pool.acquire() as slow, pool.acquire() as quick:
        async with slow.transaction():
            await insert(slow, topic, [0], ["slow"])
            await insert(quick, topic, [0], ["quick"])

            async def old() -> bool:
                return gauge(metrics.XMIN_AGE_SECONDS) > 0.5

            await until(old)

        async def young() -> bool:
            return gauge(metrics.XMIN_AGE_SECONDS) < 0.5 and gauge(metrics.OUTBOX_BACKLOG_EVENTS) == 0

        await until(young)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.configure(ObservabilitySettings(trace_ratio=1.0), SimpleSpanProcessor(exporter))
    yield exporter
    tracing.shut_down()


async def test_a_trace_goes_on_through_the_relay(
    kernel_database: str, pool: Pool, log: Log, topic: str, spans: InMemorySpanExporter
) -> None:
    await insert(pool, topic, [0], ["a"], f'{{"traceparent": "{TRACEPARENT}"}}')
    await insert(pool, topic, [0], ["b"])
    async with running(make_relay(kernel_database, log, topic)):
        await until_told(log, topic, {0: ["a", "b"]})
    traced, plain = (await records(log, topic))[0]
    assert "traceparent" not in dict(plain.headers)
    [span] = spans.get_finished_spans()
    assert span.parent is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}") == ("a" * 32, "b" * 16)
    carried = dict(traced.headers)["traceparent"].decode()
    assert carried == f"00-{'a' * 32}-{span.context.span_id:016x}-01"
