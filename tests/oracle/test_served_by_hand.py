"""What the API answers, worked by hand: decay, ranks, and when commission becomes payable."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from shared.messaging.facts import InboundFact
from tests.oracle.oracle import Ruleset, Version
from tests.oracle.projected import publish
from tests.oracle.told import later, priced
from tests.scoring.feeder import Feeder
from tests.scoring.story import NOON, Story
from tests.support.serving import Served

Row = dict[str, Any]


async def read(scoring: Served, path: str) -> Row:
    answer = await scoring.machine("scores:read").get(path)
    assert answer.status_code == 200, answer.text
    body: Row = answer.json()
    return body


@pytest.mark.parametrize(
    "day, value",
    [
        ("2026-02-28", 0),
        ("2026-03-01", 10),
        ("2026-03-02", 9.057237),
        ("2026-03-03", 8.203354),
        ("2026-03-04", 7.429971),
        ("2026-03-05", 26.729501),  # 20 more
        ("2026-03-06", 24.209542),  # 6.095068 + 18.114473
        ("2026-03-08", 19.859943),  # 5 + 14.859943
        ("2026-03-12", 13.364750),  # 10 × 0.336475 + 20 × 0.5
        ("2026-03-15", 9.929971),  # 2.5 + 20 × 0.371499 = 7.429971
        ("2026-05-10", 0.038789),  # ten weeks after the first: a 1024th of 10, and of 20 × 1.485994
    ],
)
async def test_the_activity_shown_on_a_day(
    scoring: Served, feeder: Feeder, story: Story, town: str, day: str, value: float
) -> None:
    posts = [story.published("ana", town), *(story.published("ana", town, at=NOON + timedelta(days=4)) for _ in "12")]
    await feeder.apply([story.joined("ana", town, first=False), *posts])
    shown = await read(scoring, f"/v1/people/ana/activity?community={town}&day={day}")
    assert shown["value"] == value


async def test_ranks_on_three_boards(scoring: Served, feeder: Feeder, story: Story, town: str) -> None:
    """Dee has left; ed is no member: neither stands on a board, whatever they have."""
    people = ["ana", "bo", "cai", "dee"]
    facts = [story.joined(person, town, first=False) for person in people]
    facts += [story.published(person, town, at=later(n)) for person in ("bo", "cai", "dee") for n in range(2)]
    facts += [story.commented("ana", town, at=later(1))]
    facts += [story.left("dee", town, at=later(9))]
    bought = [story.bought("somebody", town, paid, at=later(n)) for n, paid in enumerate((1009, 1000, 500, 9900))]
    facts += bought
    facts += [story.attributed(order, who) for order, who in zip(bought, ["bo", "ana", "cai", "ed"], strict=True)]
    await feeder.apply(facts)

    async def board(metric: str, day: str = "") -> list[tuple[int, str, float]]:
        items = (await read(scoring, f"/v1/communities/{town}/leaderboards/{metric}{day}"))["items"]
        return [(item["rank"], item["person"], item["value"]) for item in items]

    assert await board("points") == [(1, "bo", 20), (1, "cai", 20), (3, "ana", 5)]
    assert await board("activity", "?day=2026-03-01") == [(1, "bo", 20), (1, "cai", 20), (3, "ana", 5)]
    assert await board("commission") == [(1, "ana", 100), (1, "bo", 100), (3, "cai", 50)]


async def test_commission_becomes_payable(
    scoring: Served, pool: "asyncpg.Pool[asyncpg.Record]", feeder: Feeder, story: Story, town: str
) -> None:
    """Ten seconds on either side of the hold; level 2 at its own rate; a refund leaves with its purchase."""
    async with pool.acquire() as connection:
        own = Ruleset(2, priced(), levels=(1000, 250), hold_days=3)
        await publish(connection, [Version("acme", None, datetime(2020, 1, 1, tzinfo=UTC), own)])
    held = datetime.now(UTC) - timedelta(days=3)
    over, open_still = (
        story.bought("cai", town, paid, at=held + timedelta(seconds=seconds))
        for paid, seconds in ((9990, -10), (450, 60))
    )
    facts: list[InboundFact] = [over, open_still]
    facts += [story.attributed(over, "bo", "ana"), story.attributed(open_still, "bo", "ana")]
    facts += [story.refunded(over, 4996)]
    await feeder.apply(facts)
    # Left of the first 4994: 499 and floor(124.85) = 124; of the second 450: 45 and floor(11.25) = 11.
    expected = {"bo": (45, 499, 544), "ana": (11, 124, 135)}
    for person, (pending, payable, total) in expected.items():
        answer = await read(scoring, f"/v1/people/{person}/commission")
        assert answer["totals"] == [
            {"currency": "CNY", "pending_minor": pending, "payable_minor": payable, "total_minor": total}
        ]
