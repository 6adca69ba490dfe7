"""Buckets count what stands on the boards, wherever they are cut, also while lanes move people between them."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scoring import boards
from services.scoring.boards import FULL, LOWEST, OVERSIZED, Bucket, coalesce, cut, split_oversized
from tests.scoring.feeder import Feeder
from tests.scoring.story import LANES, Story

GROUPS = st.dictionaries(st.integers(-50, 50), st.sampled_from([1, 1, 1, 400, 999, 1000, 1001, 5000]), max_size=40)


@settings(deadline=None)
@given(GROUPS, st.sampled_from([LOWEST, -50]))
def test_a_cut_counts_everybody_once_in_buckets_that_are_small_or_hold_one_key(
    groups: dict[int, int], lower_key: int
) -> None:
    buckets = cut(sorted(groups.items()), lower_key)
    lowers = [bucket.lower_key for bucket in buckets]
    assert lowers[0] == lower_key
    assert lowers == sorted(set(lowers))
    for bucket, upper in zip(buckets, [*lowers[1:], 2**63], strict=True):
        inside = {key: count for key, count in groups.items() if bucket.lower_key <= key < upper}
        assert bucket.members == sum(inside.values())
        assert bucket.members <= FULL or (len(inside) == 1 and upper == bucket.lower_key + 1)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=30))
def test_joined_buckets_hold_the_same_members(sizes: list[int]) -> None:
    buckets = [Bucket(LOWEST + 10 * place, members) for place, members in enumerate(sizes)]
    joined = coalesce(buckets)
    assert joined[0].lower_key == LOWEST
    assert sum(bucket.members for bucket in joined) == sum(sizes)
    assert {bucket.lower_key for bucket in joined} <= {bucket.lower_key for bucket in buckets}
    assert {bucket for bucket in buckets if bucket.members > FULL} <= set(joined)
    assert all(one.members + other.members > FULL // 2 for one, other in zip(joined, joined[1:], strict=False))


async def counted(connection: Any) -> list[tuple[Any, ...]]:
    """What is wrong in the buckets: stored and counted members, where they differ."""
    wrong = []
    for metric in boards.Metric:
        wrong += await connection.fetch(
            f"""
            with buckets as (
                select community_no, lower_key, members,
                       coalesce(lead(lower_key) over (partition by community_no order by lower_key), {2**63 - 1}) as upper
                  from rank_buckets where metric = $1),
            counted as (
                select buckets.community_no, lower_key, members,
                       (select count(*) from standings
                         where standings.community_no = buckets.community_no and {metric.on_board}
                           and {metric.column} >= lower_key and {metric.column} < upper) as inside
                  from buckets)
            select $1::int, * from counted where members <> inside
            """,
            metric,
        )
    return [tuple(row) for row in wrong]


async def members_in(connection: Any, community: str, people: int, *, equal: bool) -> None:
    """A community of so many active members, all with one key or each with an own, as lanes would have written it."""
    await connection.execute(
        "insert into communities (community, organization, zone) values ($1, 'acme', 'UTC')", community
    )
    await connection.execute(
        "insert into persons (organization, person, lane) select 'acme', 'p' || i, 0 from generate_series(1, $1) i",
        people,
    )
    await connection.execute(
        f"""
        insert into standings (person_no, community_no, person, activity_key, points, active)
        select person_no, 1, person, {"2 ^ 50" if equal else "2 ^ 50 + person_no"}, 10, true from persons
        """
    )
    await connection.execute(
        "insert into rank_buckets select metric, 1, $1, $2 from generate_series(1, 2) metric", LOWEST, people
    )


@pytest.mark.parametrize("equal", [False, True])
async def test_a_large_bucket_is_split_once_and_ties_stay_together(
    pool: "asyncpg.Pool[asyncpg.Record]", equal: bool
) -> None:
    async with pool.acquire() as connection:
        await members_in(connection, Story().community(), 5 * OVERSIZED, equal=equal)
        assert await split_oversized(pool) == 2
        assert await counted(connection) == []
        largest = await connection.fetch("select metric, max(members)::int from rank_buckets group by 1 order by 1")
        assert [row[1] for row in largest] == [5 * OVERSIZED if equal else FULL, 5 * OVERSIZED]
        assert await split_oversized(pool) == 0


async def test_a_projection_that_remembers_old_buckets_learns_the_new_ones(
    pool: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    story = Story()
    community = story.community()
    async with pool.acquire() as connection:
        await members_in(connection, community, OVERSIZED + 1, equal=False)
        feeder = Feeder(connection)
        await feeder.apply([story.joined("p7", community)])
        await split_oversized(pool)
        await feeder.apply([story.published("p7", community), story.joined("new", community)])
        assert await counted(connection) == []


async def test_buckets_stay_exact_while_lanes_move_people_and_buckets_are_split(
    pool: "asyncpg.Pool[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "FULL", 8)
    monkeypatch.setattr(boards, "OVERSIZED", 16)
    story = Story()
    community = story.community()
    chance = random.Random(7)
    facts = [story.joined(f"p{number}", community) for number in range(150)]
    posts = [story.published(f"p{int(150 * chance.random() ** 2)}", community) for _ in range(1200)]
    facts += posts + [story.removed(post) for post in chance.sample(posts, 300)]
    lanes = [[fact for fact in facts if fact.partition == lane] for lane in range(LANES)]
    done = asyncio.Event()

    async def fold(lane: Sequence[Any]) -> None:
        async with pool.acquire() as connection:
            feeder = Feeder(connection)
            for start in range(0, len(lane), 10):
                await feeder.apply(lane[start : start + 10])

    async def split() -> int:
        changed = 0
        while not done.is_set():
            changed += await split_oversized(pool, oversized=16)
            await asyncio.sleep(0.01)
        return changed

    splitting = asyncio.create_task(split())
    async with asyncio.timeout(50):
        await asyncio.gather(*(fold(lane) for lane in lanes))
        done.set()
        assert await splitting > 2
    async with pool.acquire() as connection:
        assert await counted(connection) == []
        assert await connection.fetchval("select count(*) from rank_buckets") > 8
        assert await connection.fetchval("select sum(members)::int from rank_buckets where metric = 1") == 150
