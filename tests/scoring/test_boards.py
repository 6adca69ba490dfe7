"""Buckets count what stands on the boards, wherever they are cut, also while lanes move people between them."""

import asyncio
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scoring import boardreads, boards
from services.scoring.boards import FULL, LOWEST, OVERSIZED, Bucket, coalesce, cut, split_oversized
from shared.database import open_reader
from tests.scoring.feeder import Feeder
from tests.scoring.story import Story

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
    assert all(one.members + other.members > FULL // 2 for one, other in pairwise(joined))


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
                       (select count(*) from {metric.table} as standings
                         where standings.community_no = buckets.community_no and {metric.on_board}
                           and {metric.column} >= lower_key and {metric.column} < upper) as inside
                  from buckets)
            select $1::int, * from counted where members <> inside
            """,
            metric,
        )
    return [tuple(row) for row in wrong]


async def members_in(connection: Any, community: str, people: int, *, keys: int) -> None:
    """A community of so many active members with so many different keys, as lanes would have written it."""
    await connection.execute(
        "insert into communities (community, organization, zone) values ($1, 'acme', 'UTC')", community
    )
    await connection.execute(
        """
        insert into persons (organization, person, lane)
        select 'acme', 'p' || number, 0 from generate_series(1, $1::integer) as number
        """,
        people,
    )
    await connection.execute(
        """
        insert into standings (person_no, community_no, person, activity_key, points, active)
        select person_no, 1, person, (2 ^ 50)::bigint + person_no % $1, 10, true from persons
        """,
        keys,
    )
    await connection.execute("insert into commission_standings select person, 1, 10, true from persons")
    await connection.execute(
        "insert into rank_buckets select metric, 1, $1, $2 from generate_series(1, 3) as metric", LOWEST, people
    )


@pytest.mark.parametrize(("keys", "largest"), [(5 * OVERSIZED, FULL), (1, 5 * OVERSIZED), (50, 5 * OVERSIZED // 50)])
async def test_a_large_bucket_is_split_once_and_ties_stay_together(
    pool: "asyncpg.Pool[asyncpg.Record]", keys: int, largest: int
) -> None:
    async with pool.acquire() as connection:
        await members_in(connection, Story().community(), 5 * OVERSIZED, keys=keys)
        assert await split_oversized(pool) == 3
        assert await counted(connection) == []
        rows = await connection.fetch("select metric, max(members) from rank_buckets group by metric order by metric")
        assert rows[0][1] == max(largest, largest * (FULL // largest))
        assert [row[1] for row in rows[1:]] == [5 * OVERSIZED] * 2
        assert await split_oversized(pool) == 0


async def test_a_projection_that_remembers_old_buckets_learns_the_new_ones(
    pool: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    story = Story()
    community = story.community()
    async with pool.acquire() as connection:
        await members_in(connection, community, OVERSIZED + 1, keys=OVERSIZED)
        feeder = Feeder(connection)
        await feeder.apply([story.joined("p7", community)])
        await split_oversized(pool)
        await feeder.apply([story.published("p7", community), story.joined("new", community)])
        assert await counted(connection) == []


@pytest.mark.parametrize("metric", boards.Metric)
async def test_pages_and_places_agree_with_a_plain_count(
    scoring_database: str, monkeypatch: pytest.MonkeyPatch, metric: boards.Metric
) -> None:
    monkeypatch.setattr(boards, "FULL", 8)
    chance = random.Random(11)
    connection = await asyncpg.connect(scoring_database)
    pool = await asyncpg.create_pool(scoring_database, min_size=1, max_size=1)
    reader = open_reader(scoring_database, name="test", size=1)
    try:
        await members_in(connection, Story().community(), 300, keys=300)
        await connection.execute(
            f"update {metric.table} set {metric.column} = (2 ^ 50 + (random() * random() * 90)::int)::bigint"
        )
        for table in ("standings", "commission_standings"):
            await connection.execute(f"update {table} set active = substr(person, 2)::int % 7 <> 0")
        await connection.execute("update rank_buckets set members = (select count(*) from standings where active)")
        for _ in range(2):
            rows = await connection.fetch(
                f"""
                select rank() over (order by {metric.column} desc) as rank, person, {metric.column}
                  from {metric.table} where active order by {metric.column} desc, person
                """
            )
            board = [tuple(row) for row in rows]
            for size in (1, 7, 50):
                pages: list[Any] = []
                while page := await boardreads.page(
                    reader,
                    metric,
                    1,
                    after=(pages[-1].key, pages[-1].person) if pages else None,
                    limit=size,
                ):
                    pages += page
                assert pages == board
            for index in [0, 1, len(board) - 2, len(board) - 1, *chance.sample(range(len(board)), 40)]:
                person = board[index][1]
                found = await boardreads.place(reader, metric, 1, organization="acme", person=person)
                assert found == (board[index], board[max(0, index - 2) : index + 3])
            assert await split_oversized(pool, oversized=16) in (0, 3)
        assert await connection.fetchval("select count(*) from rank_buckets where metric = $1", metric) > 5
        assert await boardreads.place(reader, metric, 1, organization="acme", person="p7") is None
    finally:
        await reader.dispose()
        await pool.close()
        await connection.close()


async def test_buckets_stay_exact_while_lanes_move_people_and_buckets_are_split(
    pool: "asyncpg.Pool[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "FULL", 8)
    monkeypatch.setattr(boards, "OVERSIZED", 16)
    story = Story(lanes=6)
    community = story.community()
    chance = random.Random(7)
    facts = [story.joined(f"p{number}", community) for number in range(150)]
    posts = [story.published(f"p{int(150 * chance.random() ** 2)}", community) for _ in range(1200)]
    facts += posts + [story.removed(post) for post in chance.sample(posts, 300)]
    lanes = [[fact for fact in facts if fact.partition == lane] for lane in range(story.lanes)]
    done = asyncio.Event()

    async def fold(lane: Sequence[Any]) -> None:
        async with pool.acquire() as connection:
            feeder = Feeder(connection)
            for start in range(0, len(lane), 12):
                await feeder.apply(lane[start : start + 12])

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
