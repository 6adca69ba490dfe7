"""The promises of the event store on PostgreSQL: expected versions, whole groups, the order readers see, snapshots."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
import pytest

from shared import eventstore
from shared.commands.command import Stream
from shared.database import Pool, open_writer
from shared.eventstore import Head, NewFact, NewKey
from shared.position import Position
from tests.support.ledger import FOLD, LONG, NOW, Added, Balance, account

pytestmark = pytest.mark.usefixtures("postgres")


@pytest.fixture
async def pool(kernel_database: str) -> Any:
    pool = await open_writer(kernel_database, name="test", size=20)
    yield pool
    await pool.close()


def fact(
    stream: Stream[Any],
    version: int,
    *,
    group: int = 0,
    command: int = 0,
    partition: int | None = 3,
) -> NewFact:
    import uuid_utils

    published = partition is not None
    return NewFact(
        group=group,
        command=command,
        stream_id=stream.id,
        version=version,
        event_id=str(uuid_utils.uuid7()),
        type="added.v1",
        data=FOLD.codec.encode(Added(amount=1)).decode(),
        occurred_at=NOW,
        partition=partition,
        key=stream.id if published else None,
        headers="{}" if published else None,
        value=b"{}" if published else None,
    )


def key(name: str, *, group: int = 0, command: int = 0) -> NewKey:
    return NewKey(
        group=group,
        command=command,
        caller="acme/ana",
        key=name,
        route="POST /",
        body_hash=b"1",
        status=201,
        headers="{}",
        body=b"{}",
        token="",
        expires_at=None,
    )


async def append(
    connection: asyncpg.Connection,
    heads: list[tuple[Stream[Any], int, int]],
    facts: list[NewFact],
    keys: list[NewKey] | None = None,
) -> eventstore.Appended:
    return await eventstore.append(
        connection,
        service="ledger",
        topic="ledger.events",
        recorded_at=datetime.now(UTC),
        commands=1 + max((fact.command for fact in facts), default=0),
        heads=[(stream.id, version, group) for stream, version, group in heads],
        facts=facts,
        keys=keys or [],
    )


async def versions(pool: Pool) -> dict[str, list[int]]:
    rows = await pool.fetch("select stream_id, array_agg(version order by version) from events group by 1")
    return {row[0]: row[1] for row in rows}


A, B = account("a"), account("b")


async def test_the_first_fact_of_a_stream_is_version_one(pool: Pool) -> None:
    appended = await append(pool, [(A, 0, 0)], [fact(A, 1)])
    assert appended.conflicts == frozenset()
    assert await versions(pool) == {A.id: [1]}


@pytest.mark.parametrize("expected", [0, 1, 3, 99])
async def test_an_expected_version_that_is_not_the_head_writes_nothing(pool: Pool, expected: int) -> None:
    await append(pool, [(A, 0, 0)], [fact(A, 1), fact(A, 2)])
    appended = await append(pool, [(A, expected, 7)], [fact(A, expected + 1, group=7)], [key("k", group=7)])
    assert appended.conflicts == {7}
    assert appended.sequences == [None]
    assert appended.tokens == [None]
    assert await versions(pool) == {A.id: [1, 2]}
    assert await pool.fetchval("select count(*) from outbox") == 2
    assert await pool.fetchval("select count(*) from idempotency_keys") == 0


async def test_an_expected_version_that_is_the_head_is_written(pool: Pool) -> None:
    await append(pool, [(A, 0, 0)], [fact(A, 1)])
    await append(pool, [(A, 1, 0)], [fact(A, 2), fact(A, 3)])
    assert await versions(pool) == {A.id: [1, 2, 3]}


async def test_a_stream_expected_to_exist_and_missing_is_a_conflict(pool: Pool) -> None:
    appended = await append(pool, [(A, 1, 0)], [fact(A, 2)])
    assert appended.conflicts == {0}
    assert await versions(pool) == {}


async def test_a_group_is_written_whole_or_not_at_all_and_its_neighbours_are_not_harmed(
    pool: Pool,
) -> None:
    await append(pool, [(A, 0, 0)], [fact(A, 1)])
    appended = await append(
        pool,
        [(A, 0, 1), (B, 0, 1), (account("c"), 0, 2)],
        [
            fact(A, 1, group=1, command=0),
            fact(B, 1, group=1, command=0),
            fact(account("c"), 1, group=2, command=1),
        ],
        [key("k1", group=1, command=0), key("k2", group=2, command=1)],
    )
    assert appended.conflicts == {1}
    assert [sequence is not None for sequence in appended.sequences] == [
        False,
        False,
        True,
    ]
    assert [token is not None for token in appended.tokens] == [False, True]
    assert await versions(pool) == {A.id: [1], "account-c": [1]}
    assert [row[0] for row in await pool.fetch("select key from idempotency_keys")] == ["k2"]


async def test_a_used_key_keeps_its_whole_group_from_being_written(pool: Pool) -> None:
    await append(pool, [(A, 0, 0)], [fact(A, 1)], [key("k")])
    appended = await append(pool, [(B, 0, 5)], [fact(B, 1, group=5)], [key("k", group=5)])
    assert appended.conflicts == {5}
    assert await versions(pool) == {A.id: [1]}


async def test_a_read_stream_that_moved_is_a_conflict_too(pool: Pool) -> None:
    await append(pool, [(A, 0, 0)], [fact(A, 1)])
    appended = await append(pool, [(A, 0, 0), (B, 0, 0)], [fact(B, 1)])
    assert appended.conflicts == {0}
    assert await versions(pool) == {A.id: [1]}


async def test_the_append_must_be_the_first_write_of_its_transaction(
    pool: Pool,
) -> None:
    async with pool.acquire() as connection:
        with pytest.raises(asyncpg.PostgresError, match="first write") as caught:
            async with connection.transaction():
                await connection.execute("insert into snapshots values ('x', 1, 1, '', 1, '1', 1, 1)")
                await append(connection, [(A, 0, 0)], [fact(A, 1)])
    assert caught.value.sqlstate == "QL001"
    async with pool.acquire() as connection, connection.transaction():
        await connection.fetch("select pg_advisory_xact_lock(1)")
        await append(connection, [(A, 0, 0)], [fact(A, 1)])
    assert await versions(pool) == {A.id: [1]}


async def test_events_and_outbox_carry_the_same_position_in_the_order_given(
    pool: Pool,
) -> None:
    facts = [fact(account(name), 1, partition=number) for number, name in enumerate("zyxwv")]
    appended = await append(pool, [(account(name), 0, 0) for name in "zyxwv"], facts)
    assert list(appended.sequences) == sorted(s for s in appended.sequences if s is not None)
    events = await pool.fetch(
        "select stream_id, epoch, transaction_id::text, sequence, partition from events order by sequence"
    )
    outbox = await pool.fetch(
        "select key, epoch, transaction_id::text, sequence, partition from outbox order by sequence"
    )
    assert [tuple(row) for row in events] == [tuple(row) for row in outbox]
    assert [row[0] for row in events] == [f"account-{name}" for name in "zyxwv"]
    assert appended.tokens[0] == ",".join(
        f"ledger.{row['partition']}.1-{appended.transaction_id}-{row['sequence']}" for row in events
    )


async def test_a_fact_that_stays_in_the_house_is_in_no_outbox_and_no_token(
    pool: Pool,
) -> None:
    appended = await append(pool, [(A, 0, 0)], [fact(A, 1, partition=None)])
    assert await pool.fetchval("select count(*) from outbox") == 0
    assert appended.tokens == [None]
    assert appended.sequences[0] is not None


async def test_parallel_writers_of_one_stream_leave_no_gap_and_lose_nothing(
    pool: Pool,
) -> None:
    written = 0

    async def writer(name: int) -> None:
        nonlocal written
        for _ in range(20):
            async with pool.acquire() as connection:
                _, heads = await eventstore.load(connection, [A], {})
                try:
                    appended = await append(
                        connection,
                        [(A, heads[A.id].version, 0)],
                        [fact(A, heads[A.id].version + 1)],
                    )
                except asyncpg.UniqueViolationError:
                    continue
                written += not appended.conflicts

    await asyncio.gather(*(writer(number) for number in range(8)))
    assert (await versions(pool))[A.id] == list(range(1, written + 1))


async def test_readers_up_to_the_horizon_see_each_stream_in_its_order_and_miss_nothing(
    pool: Pool,
) -> None:
    """Writers hold their transactions open for a while; a reader that goes by position alone would skip them."""
    seen: list[tuple[str, int]] = []
    done = asyncio.Event()

    async def writer(number: int) -> None:
        stream = account(str(number % 3))
        for turn in range(15):
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("select pg_advisory_xact_lock(hashtext($1))", stream.id)
                _, heads = await eventstore.load(connection, [stream], {})
                version = heads[stream.id].version
                await append(connection, [(stream, version, 0)], [fact(stream, version + 1)])
                await asyncio.sleep(0.001 * ((number * 7 + turn) % 5))

    async def reader() -> None:
        last = (0, 0)
        while True:
            finished = done.is_set()
            rows = await pool.fetch(
                """
                select transaction_id::text::bigint as tx, sequence, stream_id, version from events
                 where (transaction_id, sequence) > ($1::bigint::text::xid8, $2)
                   and transaction_id < pg_snapshot_xmin(pg_current_snapshot())
                 order by transaction_id, sequence
                """,
                *last,
            )
            seen.extend((row["stream_id"], row["version"]) for row in rows)
            if rows:
                last = (rows[-1]["tx"], rows[-1]["sequence"])
            elif finished:
                return
            await asyncio.sleep(0.002)

    reading = asyncio.create_task(reader())
    await asyncio.gather(*(writer(number) for number in range(9)))
    done.set()
    await reading
    stored = await pool.fetchval("select count(*) from events")
    assert len(seen) == len(set(seen)) == stored
    for stream in ("account-0", "account-1", "account-2"):
        order = [version for name, version in seen if name == stream]
        assert order == list(range(1, len(order) + 1))


async def test_loading_folds_what_is_there_and_only_what_is_newer_than_known(
    pool: Pool,
) -> None:
    await append(pool, [(A, 0, 0)], [fact(A, 1), fact(A, 2)])
    _, heads = await eventstore.load(pool, [A, B], {})
    assert heads[A.id].state == Balance(2, 2)
    assert (heads[A.id].version, heads[A.id].partition) == (2, 3)
    assert heads[B.id] == Head(Balance(), 0)
    known = {A.id: Head(Balance(100, 1), 1, 3, Position(1, 1, 1))}
    _, heads = await eventstore.load(pool, [A], known)
    assert heads[A.id].state == Balance(101, 2)


async def test_a_snapshot_is_used_and_one_of_another_fold_version_or_shape_is_thrown_away(
    pool: Pool,
) -> None:
    stream = account("a", LONG)
    await append(pool, [(stream, 0, 0)], [fact(stream, 1), fact(stream, 2)])
    planted = Head(Balance(1000, 1), 1, 3, Position(1, 1, 1))
    await eventstore.save_snapshots(pool, [(stream, planted)])
    _, heads = await eventstore.load(pool, [stream], {})
    assert heads[stream.id].state == Balance(1001, 2)
    await pool.execute("update snapshots set fold_version = fold_version + 1")
    _, heads = await eventstore.load(pool, [stream], {})
    assert heads[stream.id].state == Balance(2, 2)
    await pool.execute(
        "update snapshots set fold_version = 1, state = $1",
        msgspec.msgpack.encode([1, 2, 3]),
    )
    _, heads = await eventstore.load(pool, [stream], {})
    assert heads[stream.id].state == Balance(2, 2)


async def test_an_older_snapshot_does_not_replace_a_newer_one(pool: Pool) -> None:
    stream = account("a", LONG)
    for version in (20, 10):
        await eventstore.save_snapshots(pool, [(stream, Head(Balance(), version, 3, Position(1, 1, 1)))])
    assert await pool.fetchval("select version from snapshots") == 20
