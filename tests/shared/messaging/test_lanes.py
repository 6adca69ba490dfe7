"""The lane transaction, fed with records directly."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from shared.database import Pool
from shared.messaging.facts import LaneFacts
from shared.messaging.lanes import LOCK, Lanes
from shared.messaging.log import TopicPartition
from shared.messaging.recovery import accept_epoch, read_again
from shared.position import START, Position
from tests.support.toy import OTHER_TYPE, ToyProjection, Writer, chunk, tables, value

TOPIC = "toy.events"
P0 = TopicPartition(TOPIC, 0)


async def keys(pool: Pool) -> dict[str, int]:
    return {key: n for key, (n, _) in (await tables(pool))[0].items()}


async def letters(pool: Pool) -> list[tuple[str, int, str | None]]:
    rows = await pool.fetch("select key, log_offset, reason from dead_letters order by id")
    return [(row["key"], row["log_offset"], row["reason"]) for row in rows]


async def test_facts_and_progress_commit_together(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    records = [writer.write("ana", 2), writer.write("bob", 3), writer.write("eve", kind=OTHER_TYPE)]
    lanes = Lanes(ToyProjection(), toy_pool)
    folded = await lanes.fold([chunk(records)])
    assert (folded.next_offsets, folded.halts, folded.applied) == ({P0: 3}, {}, 2)
    assert await tables(toy_pool) == ({"ana": (2, "1-1001-1"), "bob": (3, "1-1002-2")}, 5)
    assert await lanes.next_offsets([P0, TopicPartition(TOPIC, 1)]) == {P0: 3, TopicPartition(TOPIC, 1): 0}


async def test_delivering_everything_again_changes_nothing(toy_pool: Pool) -> None:
    writers = [Writer(TOPIC, lane) for lane in range(3)]
    for number in range(90):
        writers[number % 3].write(f"k{number % 7}")
    chunks = [chunk(writer.records) for writer in writers]
    lanes = Lanes(ToyProjection(), toy_pool)
    await lanes.fold(chunks)
    before = await tables(toy_pool)
    stamps = await toy_pool.fetch("select lane, stamp from lanes order by lane")
    await lanes.fold(chunks)
    await Lanes(ToyProjection(), toy_pool).fold(chunks)
    assert await tables(toy_pool) == before
    assert before[1] == 90
    assert await toy_pool.fetch("select lane, stamp from lanes order by lane") == stamps


async def test_a_relays_repeats_are_dropped_across_and_within_fetches(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    first, second = writer.write("ana"), writer.write("ana")
    lanes = Lanes(ToyProjection(), toy_pool)
    await lanes.fold([chunk([first])])
    await lanes.fold([chunk([second, writer.repeat(first), writer.repeat(second), writer.write("ana")])])
    assert await keys(toy_pool) == {"ana": 3}


async def test_topics_of_one_lane_share_a_transaction_and_keep_chains_of_their_own(toy_pool: Pool) -> None:
    projection = ToyProjection(topics=("a.events", "b.events"))
    a, b = Writer("a.events", 0), Writer("b.events", 0)
    a.write("ana"), b.write("ana"), b.write("bob")
    folded = await Lanes(projection, toy_pool).fold([chunk(a.records), chunk(b.records)])
    assert folded.next_offsets == {TopicPartition("a.events", 0): 1, TopicPartition("b.events", 0): 2}
    assert projection.calls == [3]
    assert await keys(toy_pool) == {"ana": 2, "bob": 1}


async def test_a_later_transaction_with_a_lower_sequence_is_applied_and_a_lower_epoch_is_not(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    writer.write_at(Position(3, 10, 500), START, "ana", value())
    writer.write_at(Position(3, 11, 400), Position(3, 10, 500), "bob", value())
    lanes = Lanes(ToyProjection(), toy_pool)
    for record in writer.records:
        await lanes.fold([chunk([record])])
    await lanes.fold([chunk([writer.write_at(Position(2, 99, 900), Position(3, 11, 400), "old", value())])])
    assert await keys(toy_pool) == {"ana": 1, "bob": 1}


async def test_what_precedes_a_gap_is_folded_and_the_other_topics_go_on(toy_pool: Pool) -> None:
    a, b = Writer("a.events", 0), Writer("b.events", 0)
    records = [a.write("ana"), a.write("bob"), a.write("cyd")]
    b.write("dan")
    lanes = Lanes(ToyProjection(topics=("a.events", "b.events")), toy_pool)
    where = TopicPartition("a.events", 0)
    folded = await lanes.fold([chunk([records[0], records[2]]), chunk([a.write("eve")]), chunk(b.records)])
    assert folded.next_offsets == {where: 1, TopicPartition("b.events", 0): 1}
    assert folded.halts.keys() == {where}
    assert "the facts after 1-1001-1 up to 1-1002-2 are missing" in folded.halts[where].reason
    assert await keys(toy_pool) == {"ana": 1, "dan": 1}


async def test_a_risen_epoch_waits_for_the_operator(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    lanes = Lanes(ToyProjection(), toy_pool)
    await lanes.fold([chunk([writer.write("ana"), writer.write("void")])])
    risen = [writer.write_at(Position(2, 5, 2), Position(1, 1001, 1), "bob", value())]
    assert (await lanes.fold([chunk(risen)])).halts.keys() == {P0}
    await accept_epoch(toy_pool, "toy", "another.topic", 2)
    assert (await lanes.fold([chunk(risen)])).halts.keys() == {P0}
    await accept_epoch(toy_pool, "toy", TOPIC, 2)
    assert (await lanes.fold([chunk(risen)])).halts == {}
    assert await keys(toy_pool) == {"ana": 1, "void": 1, "bob": 1}


async def test_a_topic_published_anew_is_read_again_and_nothing_is_applied_twice(toy_pool: Pool) -> None:
    lost, anew = Writer(TOPIC, 0), Writer(TOPIC, 0)
    for key in ("ana", "bob", "cyd"):
        lost.write(key)
    lanes = Lanes(ToyProjection(), toy_pool)
    await lanes.fold([chunk(lost.records)])
    for key in ("ana", "bob", "cyd", "dan"):
        anew.write(key)
    assert (await lanes.fold([chunk(anew.records[:3])])).applied == 0
    await read_again(toy_pool, "toy", TOPIC)
    assert await lanes.next_offsets([P0]) == {P0: 0}
    assert (await lanes.fold([chunk(anew.records)])).applied == 1
    assert await keys(toy_pool) == {"ana": 1, "bob": 1, "cyd": 1, "dan": 1}


@pytest.mark.parametrize("bad", [{"n": 1, "poison": True}, {"n": -1}, {"n": 2**63}], ids=["Poison", "23514", "22003"])
async def test_a_poisoned_record_is_found_and_only_its_key_parks(toy_pool: Pool, bad: dict[str, Any]) -> None:
    writer, other = Writer(TOPIC, 0), Writer(TOPIC, 1)
    for number in range(64):
        if number == 41:
            writer.write("k1", **bad)
        else:
            writer.write(f"k{number % 4}")
        other.write(f"other{number % 3}")
    lanes = Lanes(ToyProjection(), toy_pool)
    folded = await lanes.fold([chunk(writer.records), chunk(other.records)])
    assert folded.next_offsets == {P0: 64, TopicPartition(TOPIC, 1): 64}
    assert await keys(toy_pool) == {"k0": 16, "k1": 10, "k2": 16, "k3": 16, "other0": 22, "other1": 21, "other2": 21}
    parked = await letters(toy_pool)
    assert [offset for _, offset, _ in parked] == [41, 45, 49, 53, 57, 61]
    assert {key for key, _, _ in parked} == {"k1"}
    assert [reason is not None for _, _, reason in parked] == [True] + 5 * [False]
    assert folded.applied == 122


async def test_the_reason_tells_the_broken_rule_and_quotes_no_values(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    await Lanes(ToyProjection(), toy_pool).fold([chunk([writer.write("secret", -1)])])
    ((_, _, reason),) = await letters(toy_pool)
    assert reason == 'new row for relation "counts" violates check constraint "counts_n_check" (SQLSTATE 23514)'


async def test_five_facts_queue_behind_a_parked_one(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    lanes = Lanes(ToyProjection(), toy_pool)
    await lanes.fold([chunk([writer.write("ana", poison=True)])])
    for _ in range(5):
        await lanes.fold([chunk([writer.write("ana"), writer.write("bob"), writer.write("ana", kind=OTHER_TYPE)])])
    assert await letters(toy_pool) == [("ana", 0, "poisoned by the test")] + [
        ("ana", 1 + 3 * n, None) for n in range(5)
    ]
    assert await keys(toy_pool) == {"bob": 5}


@pytest.mark.parametrize(
    "failure",
    [
        asyncpg.DeadlockDetectedError("deadlock detected"),
        asyncpg.LockNotAvailableError("canceling statement due to lock timeout"),
        asyncpg.OutOfMemoryError("out of memory"),
        asyncpg.ConnectionDoesNotExistError("connection was closed"),
        TimeoutError(),
        KeyError("a mistake in the fold"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_any_other_trouble_parks_nothing_and_changes_nothing(toy_pool: Pool, failure: Exception) -> None:
    writer = Writer(TOPIC, 0)
    records = [writer.write("ana"), writer.write("bob")]
    projection = ToyProjection()
    projection.failures = [failure]
    lanes = Lanes(projection, toy_pool)
    with pytest.raises(type(failure)):
        await lanes.fold([chunk(records)])
    assert await letters(toy_pool) == []
    assert await lanes.next_offsets([P0]) == {P0: 0}
    await lanes.fold([chunk(records)])
    assert await keys(toy_pool) == {"ana": 1, "bob": 1}


async def test_a_lost_commit_is_settled_by_the_lane_rows(toy_pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server commits, and the connection breaks before the answer."""
    writer = Writer(TOPIC, 0)
    projection = ToyProjection()
    lanes = Lanes(projection, toy_pool)
    await lanes.fold([chunk([writer.write("ana")])])
    transaction: Any = asyncpg.transaction.Transaction
    commit = transaction._Transaction__commit

    async def commit_and_break(self: Any) -> None:
        await commit(self)
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(transaction, "_Transaction__commit", commit_and_break)
        batch = [chunk([writer.write("ana")])]
        with pytest.raises(ConnectionResetError):
            await lanes.fold(batch)
    await lanes.fold(batch)
    await lanes.fold([chunk([writer.write("ana")])])
    assert await keys(toy_pool) == {"ana": 3}
    assert [memory for _, memory in projection.memories] == [None, 1, None]


async def test_memory_is_kept_only_while_nobody_else_touches_the_lane(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    projection, other = ToyProjection(), ToyProjection()
    lanes, zombie = Lanes(projection, toy_pool), Lanes(other, toy_pool)
    for folding in (lanes, lanes, zombie, lanes, lanes):
        await folding.fold([chunk([writer.write("ana")])])
    assert [memory for _, memory in projection.memories] == [None, 1, None, 1]
    assert [memory for _, memory in other.memories] == [None]


async def test_memory_is_dropped_by_a_failed_transaction(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    projection = ToyProjection()
    lanes = Lanes(projection, toy_pool)
    await lanes.fold([chunk([writer.write("ana")])])
    projection.failures = [asyncpg.DeadlockDetectedError("deadlock detected")]
    batch = [chunk([writer.write("ana")])]
    with pytest.raises(asyncpg.DeadlockDetectedError):
        await lanes.fold(batch)
    await lanes.fold(batch)
    assert [memory for _, memory in projection.memories] == [None, None]


async def test_memory_survives_what_leaves_the_lane_as_it_is(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    projection = ToyProjection()
    lanes = Lanes(projection, toy_pool)
    first = writer.write("ana")
    for record in (first, first, writer.write("eve", kind=OTHER_TYPE), writer.write("ana")):
        await lanes.fold([chunk([record])])
    assert [memory for _, memory in projection.memories] == [None, 1]


async def test_the_second_to_come_waits_and_finds_the_work_done(toy_pool: Pool) -> None:
    """Without the fence both read the same lane row, and both add."""
    writer = Writer(TOPIC, 0)
    for _ in range(20):
        writer.write("ana")

    class Slow(ToyProjection):
        async def apply(self, connection: Any, lanes: Sequence[LaneFacts]) -> None:
            await asyncio.sleep(0.2)
            await super().apply(connection, lanes)

    both = [Lanes(Slow(), toy_pool), Lanes(Slow(), toy_pool)]
    folded = await asyncio.gather(*(lanes.fold([chunk(writer.records)]) for lanes in both))
    assert sorted(result.applied for result in folded) == [0, 20]
    assert await keys(toy_pool) == {"ana": 20}


async def test_a_waiting_or_folding_lane_holds_no_transaction_id(toy_pool: Pool) -> None:
    """A transaction id taken before the fold would hold back every relay of the cluster."""
    seen: list[Any] = []

    class Watching(ToyProjection):
        async def apply(self, connection: Any, lanes: Sequence[LaneFacts]) -> None:
            seen.append(await connection.fetchval("select pg_current_xact_id_if_assigned()::text"))
            await super().apply(connection, lanes)

    writer = Writer(TOPIC, 0)
    lanes = Lanes(Watching(), toy_pool)
    for _ in range(2):
        await lanes.fold([chunk([writer.write("ana")])])
    assert seen == [None, None]


async def test_concurrent_owners_of_overlapping_lanes_neither_deadlock_nor_repeat(toy_pool: Pool) -> None:
    """Four owners deliver everything in different pieces and orders of lanes, at once; all add to one total."""
    writers = [Writer(TOPIC, lane) for lane in range(6)]
    for number in range(1200):
        writers[number % 6].write(f"k{number % 40}-{number % 6}")

    async def own(seed: int) -> None:
        chance = random.Random(seed)
        lanes = Lanes(ToyProjection(), toy_pool)
        for start in range(0, 200, 20):
            chunks = [chunk(writer.records[start : start + 20]) for writer in writers]
            chance.shuffle(chunks)
            await lanes.fold(chunks)

    async with asyncio.timeout(30):
        await asyncio.gather(*(own(seed) for seed in range(4)))
    assert (await tables(toy_pool))[1] == 1200
    assert sum((await keys(toy_pool)).values()) == 1200


async def test_a_lane_lock_that_is_held_has_a_deadline(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    lanes = Lanes(ToyProjection(), toy_pool, timeout_seconds=0.3)
    async with toy_pool.acquire() as connection, connection.transaction():
        await connection.execute(LOCK, "toy", [0])
        with pytest.raises(TimeoutError):
            await lanes.fold([chunk([writer.write("ana")])])
    await lanes.fold([chunk(writer.records)])
    assert await keys(toy_pool) == {"ana": 1}


async def test_consumers_of_one_database_do_not_share_lanes(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    writer.write("ana")
    async with toy_pool.acquire() as connection, connection.transaction():
        await connection.execute(LOCK, "another", [0])
        async with asyncio.timeout(5):
            await Lanes(ToyProjection(), toy_pool).fold([chunk(writer.records)])
    assert await keys(toy_pool) == {"ana": 1}
