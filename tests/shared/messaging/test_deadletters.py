"""Parked keys, seen and replayed by an operator."""

import random
from typing import Any

import asyncpg
import pytest

from shared.database import Pool
from shared.messaging.deadletters import ParkedKey, Replayed, parked_keys, replay
from shared.messaging.lanes import Lanes
from shared.messaging.log import TopicPartition
from shared.position import Position
from tests.support.toy import TYPE, ToyProjection, Writer, chunk, tables

TOPIC = "toy.events"
P0 = TopicPartition(TOPIC, 0)


async def park(pool: Pool, *facts: dict[str, Any], projection: ToyProjection | None = None) -> Lanes:
    """Fold these facts of ana, in order; the first is bad."""
    writer = Writer(TOPIC, 0)
    lanes = Lanes(projection or ToyProjection(), pool)
    for extras in facts:
        writer.write("ana", **extras)
    await lanes.fold([chunk(writer.records)])
    return lanes


async def test_parked_keys_are_listed_with_reason_and_length(toy_pool: Pool) -> None:
    await park(toy_pool, {"poison": True}, {}, {})
    (parked,) = await parked_keys(toy_pool, consumer="toy")
    assert parked == ParkedKey(
        consumer="toy",
        lane=0,
        key="ana",
        reason="poisoned by the test",
        type=TYPE,
        event_id="00000000-0000-7000-8000-000000000001",
        position=Position(1, 1001, 1),
        facts=3,
        parked_at=parked.parked_at,
        letter=parked.letter,
    )
    assert await parked_keys(toy_pool, after=parked.letter) == []
    assert await parked_keys(toy_pool, consumer="another") == []
    assert await parked_keys(toy_pool) == [parked]


async def test_replay_after_the_fix_gives_what_no_poison_would_have_given(toy_pool: Pool, kernel_database: str) -> None:
    chance = random.Random(11)
    writer = Writer(TOPIC, 0)
    for number in range(400):
        writer.write(f"k{chance.randrange(8)}", poison=number in (50, 60, 270))
    fixed = ToyProjection()
    fixed.lenient = True

    await Lanes(fixed, toy_pool).fold([chunk(writer.records)])
    expected = await tables(toy_pool)
    await toy_pool.execute("truncate counts, totals, lanes, lane_topics")

    lanes = Lanes(ToyProjection(), toy_pool)
    for start in range(0, 400, 37):
        await lanes.fold([chunk(writer.records[start : start + 37])])
    assert await tables(toy_pool) != expected
    parked = await parked_keys(toy_pool)
    for key in parked:
        assert await replay(toy_pool, fixed, lane=0, key=key.key) == Replayed(key.facts, 0, None)
    assert await tables(toy_pool) == expected
    assert await parked_keys(toy_pool) == []
    assert len(parked) >= 2


async def test_replay_stops_at_the_first_fact_that_fails_again(toy_pool: Pool) -> None:
    await park(toy_pool, {"n": -1}, {}, {}, {"poison": True}, {})
    await toy_pool.execute("alter table counts drop constraint counts_n_check")
    assert await replay(toy_pool, ToyProjection(), lane=0, key="ana") == Replayed(3, 2, "poisoned by the test")
    (parked,) = await parked_keys(toy_pool)
    assert (parked.reason, parked.position.sequence, parked.facts) == ("poisoned by the test", 4, 2)
    # Another attempt without a fix changes nothing but the reason.
    assert await replay(toy_pool, ToyProjection(), lane=0, key="ana") == Replayed(0, 2, "poisoned by the test")


async def test_a_replay_without_time_changes_nothing_and_says_how_many_wait(toy_pool: Pool) -> None:
    await park(toy_pool, {"poison": True}, {}, {})
    fixed = ToyProjection()
    fixed.lenient = True
    assert await replay(toy_pool, fixed, lane=0, key="ana", seconds=-1) == Replayed(0, 3, None)
    assert await replay(toy_pool, fixed, lane=0, key="ana", seconds=60) == Replayed(3, 0, None)


async def test_after_a_half_replay_new_facts_still_queue_behind(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    lanes = Lanes(ToyProjection(), toy_pool)
    await lanes.fold([chunk([writer.write("ana", -1), writer.write("ana", poison=True)])])
    await toy_pool.execute("alter table counts drop constraint counts_n_check")
    await replay(toy_pool, ToyProjection(), lane=0, key="ana")
    await lanes.fold([chunk([writer.write("ana", 7)])])
    (parked,) = await parked_keys(toy_pool)
    assert parked.facts == 2
    fixed = ToyProjection()
    fixed.lenient = True
    assert await replay(toy_pool, fixed, lane=0, key="ana") == Replayed(2, 0, None)
    assert (await tables(toy_pool))[0]["ana"] == (-1_000_000_000 + 1 + 7, "1-1003-3")


async def test_a_replayed_key_flows_again(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    lanes = Lanes(ToyProjection(), toy_pool)
    await lanes.fold([chunk([writer.write("ana", poison=True)])])
    fixed = ToyProjection()
    fixed.lenient = True
    await replay(toy_pool, fixed, lane=0, key="ana")
    await lanes.fold([chunk([writer.write("ana", 4)])])
    assert (await tables(toy_pool))[0]["ana"] == (5, "1-1002-2")


async def test_replay_tells_owners_that_their_memory_is_old(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    owner = ToyProjection()
    lanes = Lanes(owner, toy_pool)
    await lanes.fold([chunk([writer.write("ana", poison=True)])])
    await lanes.fold([chunk([writer.write("bob")])])
    await lanes.fold([chunk([writer.write("bob")])])
    fixed = ToyProjection()
    fixed.lenient = True
    await replay(toy_pool, fixed, lane=0, key="ana")
    await lanes.fold([chunk([writer.write("bob")])])
    assert owner.memories[-2:] == [(0, 1), (0, None)]


async def test_a_trouble_that_passes_ends_the_replay_and_parks_nothing_anew(toy_pool: Pool) -> None:
    await park(toy_pool, {"poison": True}, {})
    busy = ToyProjection()
    busy.failures = [asyncpg.DeadlockDetectedError("deadlock detected")]
    with pytest.raises(asyncpg.DeadlockDetectedError):
        await replay(toy_pool, busy, lane=0, key="ana")
    (parked,) = await parked_keys(toy_pool)
    assert (parked.reason, parked.facts) == ("poisoned by the test", 2)


async def test_replaying_what_is_not_parked_does_nothing(toy_pool: Pool) -> None:
    assert await replay(toy_pool, ToyProjection(), lane=3, key="nobody") == Replayed(0, 0, None)
