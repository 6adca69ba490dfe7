"""Lanes fold each act under the version in force when it occurred, whenever that version was published."""

from datetime import timedelta
from typing import Any

import asyncpg

from services.scoring.ruleset import Rule, Rules
from tests.scoring.feeder import Feeder
from tests.scoring.publishing import STINGY, publish_rules
from tests.scoring.story import NOON, Story

HOUR = timedelta(hours=1)


def posts_worth(points: int, *, cap: int | None = None) -> Rules:
    return Rules(
        acts={"post_published": Rule(weight=1, points=points, daily_cap=cap)},
        commission_basis_points=[2000],
        commission_hold_days=1,
    )


async def counts(connection: Any) -> list[tuple[Any, ...]]:
    rows = await connection.fetch("select ruleset, n, score from day_counts order by ruleset")
    return [tuple(row) for row in rows]


async def test_two_versions_of_one_day_are_counted_and_capped_apart(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    story = Story()
    community = story.community()
    async with pool.acquire() as connection:
        feeder = Feeder(connection)
        second = await publish_rules(connection, posts_worth(100, cap=1), NOON)
        early = [story.published("ana", community, at=NOON - HOUR) for _ in range(6)]
        late = [story.published("ana", community, at=NOON) for _ in range(2)]
        await feeder.apply([*early, *late])
        assert await counts(connection) == [(1, 6, 50), (second, 2, 1)]
        assert await connection.fetchval("select points from standings") == 150
        # Taken back long after, under the version of each act: one of each was above its cap.
        await feeder.apply([story.removed(one, at=NOON + 9 * HOUR) for one in (early[0], late[0])])
        assert await connection.fetchval("select points from standings") == 150
        await feeder.apply([story.removed(late[1]), story.restored(late[0]), story.removed(early[1])])
        assert await connection.fetchval("select points from standings") == 140
        given = await connection.fetch("select points_given, reason from point_entries order by seq")
        assert [tuple(row) for row in given][8:] == [(0, 1), (0, 1), (-100, None), (100, None), (-10, None)]


async def test_a_version_published_meanwhile_is_known_at_the_next_batch(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    story, other = Story(), Story(organization="zenith")
    community, elsewhere = story.community(), other.community()
    async with pool.acquire() as connection:
        feeder = Feeder(connection)
        await feeder.apply([story.published("ana", community)])
        second = await publish_rules(connection, posts_worth(3), NOON)
        await feeder.apply([story.published("ana", community), other.published("bo", elsewhere)])
        third = await publish_rules(connection, posts_worth(4), NOON + HOUR, version=2)
        await feeder.apply([story.published("ana", community, at=NOON + HOUR)])
        await feeder.apply([story.published("ana", community, at=NOON - HOUR)])
        rows = await connection.fetch(
            """
            select person, ruleset, points_given
              from point_entries join persons using (person_no) join journal using (lane, seq)
             order by person, seq
            """
        )
        assert [tuple(row) for row in rows] == [
            ("ana", 1, 10),
            ("ana", second, 3),
            ("ana", third, 4),
            ("ana", 1, 10),
            ("bo", 1, 10),
        ]


async def test_a_communitys_own_ruleset_replaces_the_organizations_whole(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    story = Story()
    own, usual = story.community(), story.community()
    async with pool.acquire() as connection:
        await publish_rules(connection, STINGY, NOON - HOUR)
        await publish_rules(connection, posts_worth(9), NOON, community=own)
        await Feeder(connection).apply(
            [
                story.published("ana", own, at=NOON - HOUR),
                story.published("ana", own),
                story.commented("ana", own),
                story.published("bo", usual),
            ]
        )
        points = await connection.fetch("select person, points from standings order by person")
        assert [tuple(row) for row in points] == [("ana", 4 + 9), ("bo", 4)]
        # The organization's rules name comments; the community's do not: worth nothing, and no entry.
        assert await connection.fetchval("select count(*) from point_entries") == 3


async def test_refund_and_attribution_keep_to_the_version_of_the_purchase(
    pool: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    story = Story()
    community = story.community()
    async with pool.acquire() as connection:
        feeder = Feeder(connection)
        second = await publish_rules(connection, posts_worth(9), NOON)
        before, after = (story.bought("bo", community, 1000, at=at) for at in (NOON - HOUR, NOON))
        await feeder.apply([before, after])
        await feeder.apply([story.attributed(one, "ana", "cai", at=NOON + HOUR) for one in (before, after)])
        await feeder.apply([story.refunded(one, 500, at=NOON + 2 * HOUR) for one in (before, after)])
        rows = await connection.fetch(
            "select ruleset, rate, amount, payable_at - $1 as held from commission_entries order by entry_no", NOON
        )
        assert [tuple(row) for row in rows] == [
            (1, 1000, 100, timedelta(days=15) - HOUR),
            (second, 2000, 200, timedelta(days=1)),
            (1, 1000, -50, timedelta(days=15) - HOUR),
            (second, 2000, -100, timedelta(days=1)),
        ]
        assert await connection.fetchval("select points from standings where person = 'bo'") == 5
        journaled = await connection.fetch("select ruleset from journal order by seq")
        assert [row[0] for row in journaled] == [1, second] * 3
