"""Rulesets as their callers see them: published by machines, read by everybody, and never from before a fact."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from services.scoring.projections import ScoringProjection
from shared.messaging.lanes import LOCK, Lanes
from tests.scoring.feeder import Feeder, as_records
from tests.scoring.story import Story
from tests.support.serving import Client, Served

RULES: dict[str, Any] = {
    "acts": [
        {"act": "post_published", "weight": 1, "points": 100, "daily_cap": 1},
        {"act": "purchase", "weight": 2, "points": 3, "minor_units_per_point": 10},
    ],
    "commission": {"levels": [800, 200], "hold_days": 3},
}


def body(valid_from: datetime, **other: Any) -> dict[str, Any]:
    return {**RULES, "valid_from": valid_from.isoformat(), **other}


def ahead(minutes: float = 10) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=minutes)


@pytest.fixture
def desk(scoring: Served) -> Client:
    return scoring.machine("rules:write")


def reason(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def test_a_version_is_published_and_read(scoring: Served, desk: Client) -> None:
    answer = await desk.post("/v1/rulesets", body(ahead()), key="first")
    assert answer.status_code == 201, answer.text
    version = answer.json()
    assert (version["of"], version["version"], version["published_by"]) == ("organization", 1, "machine")
    assert version["commission_basis_points"] == [800, 200]
    worth = {rule["act"]: rule for rule in version["acts"]}
    assert worth["post_published"]["points"] == 100
    assert worth["comment_added"] == {
        "act": "comment_added",
        "weight": 0,
        "points": 0,
        "daily_cap": None,
        "minor_units_per_point": None,
    }
    assert answer.headers["location"] == f"/scoring/v1/rulesets/{version['ruleset']}"
    ana = scoring.person("ana")
    assert (await ana.get(f"/v1/rulesets/{version['ruleset']}")).json() == version
    assert (await ana.get("/v1/rulesets")).json() == {"items": [version], "next": None}
    again = await desk.post("/v1/rulesets", body(datetime.fromisoformat(version["valid_from"])), key="first")
    assert (again.status_code, again.json()) == (201, version), "the same request again"
    assert (await ana.get("/v1/rulesets")).json() == {"items": [version], "next": None}


async def test_the_version_in_force_is_told(scoring: Served, desk: Client, feeder: Feeder) -> None:
    story = Story()
    community = story.community()
    await feeder.apply([story.joined("ana", community)])
    start, later = ahead(10), ahead(20)
    first = (await desk.post("/v1/rulesets", body(start))).json()
    own = (await desk.post("/v1/rulesets", body(later, community=community))).json()
    ana = scoring.person("ana")

    async def in_force(at: datetime | None, where: str | None) -> int:
        asked = [f"at={at.isoformat().replace('+', '%2B')}"] if at else []
        asked += [f"community={where}"] if where else []
        return int((await ana.get(f"/v1/rulesets/in-force?{'&'.join(asked)}")).json()["ruleset"])

    assert await in_force(None, None) == await in_force(None, community) == 1
    assert await in_force(start, None) == await in_force(start, community) == first["ruleset"]
    assert await in_force(later, None) == first["ruleset"]
    assert await in_force(later, community) == own["ruleset"]
    assert own["of"] == "community" and own["community"] == community and own["version"] == 1
    assert (await ana.get(f"/v1/rulesets?community={community}")).json()["items"] == [own]


async def test_versions_come_in_pages_newest_first(scoring: Served, desk: Client) -> None:
    for number in range(5):
        assert (await desk.post("/v1/rulesets", body(ahead(10 + number)))).status_code == 201
    ana, seen, following = scoring.person("ana"), [], "/v1/rulesets?limit=2"
    while following:
        page = (await ana.get(following.removeprefix("/scoring"))).json()
        seen += [item["version"] for item in page["items"]]
        following = page["next"]
    assert seen == [5, 4, 3, 2, 1]


async def test_who_may_publish(scoring: Served) -> None:
    wanted = body(ahead())
    assert reason(await scoring.person("ana").post("/v1/rulesets", wanted)) == (403, "scope-missing")
    assert reason(await scoring.machine("scores:read").post("/v1/rulesets", wanted)) == (403, "scope-missing")


async def test_another_organization_sees_and_changes_nothing(scoring: Served, desk: Client, feeder: Feeder) -> None:
    story = Story()
    community = story.community()
    await feeder.apply([story.joined("ana", community)])
    number = (await desk.post("/v1/rulesets", body(ahead()))).json()["ruleset"]
    other = scoring.machine("rules:write", "zenith")
    assert reason(await other.post("/v1/rulesets", body(ahead(), community=community))) == (404, "community-not-found")
    assert reason(await other.get(f"/v1/rulesets/{number}")) == (404, "ruleset-not-found")
    assert reason(await other.get(f"/v1/rulesets?community={community}")) == (404, "community-not-found")
    assert reason(await other.get(f"/v1/rulesets/in-force?community={community}")) == (404, "community-not-found")
    assert (await other.get("/v1/rulesets")).json()["items"] == []
    assert (await other.get("/v1/rulesets/1")).json()["of"] == "shipped"


@pytest.mark.parametrize(
    "change",
    [
        {"acts": [{"act": "post_published", "weight": -1, "points": 1}]},
        {"acts": [{"act": "post_published", "weight": 1.5, "points": 1}]},
        {"acts": [{"act": "post_published", "weight": 1, "points": 2**70}]},
        {"acts": [{"act": "post_published", "weight": 1, "points": 1}] * 2},
        {"acts": [{"act": "post_published", "weight": 1, "points": 1, "minor_units_per_point": 100}]},
        {"acts": [{"act": "purchase", "weight": 1, "points": 1, "minor_units_per_point": 0}]},
        {"acts": [{"act": "dancing", "weight": 1, "points": 1}]},
        {"commission": {"levels": [1, 2, 3], "hold_days": 0}},
        {"commission": {"levels": [6000, 4001], "hold_days": 0}},
        {"commission": {"levels": [10_001], "hold_days": 0}},
        {"commission": {"levels": [1], "hold_days": -1}},
        {"valid_from": "2026-04-01"},
        {"surprise": True},
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused(desk: Client, change: dict[str, Any]) -> None:
    answer = await desk.post("/v1/rulesets", {**body(ahead()), **change})
    assert reason(answer) == (422, "invalid-request"), answer.text


async def test_what_was_scored_is_never_priced_anew(desk: Client, feeder: Feeder) -> None:
    early = body(datetime(2020, 1, 1, tzinfo=UTC))
    assert (await desk.post("/v1/rulesets", early)).status_code == 201
    story = Story()
    await feeder.apply([story.published("ana", story.community())])
    for minutes in (-60, 0, 4):
        assert reason(await desk.post("/v1/rulesets", body(ahead(minutes)))) == (422, "valid-from-too-early")
    assert (await desk.post("/v1/rulesets", body(ahead(6)))).status_code == 201
    assert reason(await desk.post("/v1/rulesets", body(ahead(5.5)))) == (409, "valid-from-before-the-last-version")


async def test_a_first_fact_and_a_version_for_the_past_never_both_come_first(
    scoring: Served, pool: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    """Whoever holds the lanes is first: a fact that was folded before is priced as shipped, and the version refused."""
    lanes = Lanes(ScoringProjection(), pool)
    past = body(datetime(2020, 1, 1, tzinfo=UTC))
    story = Story(organization="before")
    facts = [story.published("ana", story.community())]
    await lanes.fold(as_records(facts))
    for number in range(16):
        story = Story(organization=f"organization-{number}")
        facts.append(msgspec.structs.replace(story.published("ana", story.community()), offset=number + 2))
        desk = scoring.machine("rules:write", story.organization)

        async def fold(chunks: Any, pause: float) -> None:
            await asyncio.sleep(pause)
            await lanes.fold(chunks)

        folding = fold(as_records(facts), number % 8 * 0.002)
        answer, _ = await asyncio.gather(desk.post("/v1/rulesets", past), folding)
        points = await pool.fetchval("select points_given from point_entries order by person_no desc limit 1")
        assert (answer.status_code, points) in {(201, 100), (422, 10)}, answer.text


async def test_a_version_applies_to_what_happens_from_its_time_on(desk: Client, pool: Any, feeder: Feeder) -> None:
    story = Story()
    community = story.community()
    await feeder.apply([story.published("ana", community)])
    start = ahead(10)
    version = (await desk.post("/v1/rulesets", body(start))).json()
    await feeder.apply(
        [
            story.published("ana", community, at=start - timedelta(seconds=1)),
            story.published("ana", community, at=start),
        ]
    )
    rows = await pool.fetch("select ruleset, points_given from point_entries join journal using (seq) order by seq")
    assert [tuple(row) for row in rows] == [(1, 10), (1, 10), (version["ruleset"], 100)]


async def test_five_minutes_are_counted_once_the_lanes_stand(
    desk: Client, feeder: Feeder, pool: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    """A lane that is at work when a version comes may yet fold what happens five minutes from then."""
    story = Story()
    await feeder.apply([story.published("ana", story.community())])
    async with pool.acquire() as lane:
        work = lane.transaction()
        await work.start()
        await lane.execute(LOCK, ScoringProjection.consumer, [0])
        publishing = asyncio.create_task(desk.post("/v1/rulesets", body(ahead(5) + timedelta(seconds=0.6))))
        await asyncio.sleep(1.2)
        assert not publishing.done()
        await work.rollback()
        assert reason(await publishing) == (422, "valid-from-too-early")


async def test_a_version_does_not_wait_for_lanes_for_ever(
    desk: Client, feeder: Feeder, pool: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    story = Story()
    await feeder.apply([story.published("ana", story.community())])
    async with pool.acquire() as lane, lane.transaction():
        await lane.execute(LOCK, ScoringProjection.consumer, [0])
        answer = await desk.post("/v1/rulesets", body(ahead(6)), key="k")
        assert answer.status_code == 503 and answer.headers["retry-after"], answer.text
        assert (await desk.post("/v1/rulesets", body(ahead(60)))).status_code == 201, "far ahead, lanes do not matter"
    assert await pool.fetchval("select count(*) from ruleset_versions") == 1


async def test_versions_for_the_past_follow_each_other_while_nothing_is_scored(desk: Client) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    assert (await desk.post("/v1/rulesets", body(past))).status_code == 201
    assert (await desk.post("/v1/rulesets", body(past + timedelta(days=1)))).status_code == 201
    assert reason(await desk.post("/v1/rulesets", body(past))) == (409, "valid-from-before-the-last-version")


async def test_a_version_is_published_to_others(desk: Client, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    stamp = await pool.fetchval("select stamp from ruleset_stamp")
    version = (await desk.post("/v1/rulesets", body(ahead()))).json()
    (row,) = await pool.fetch("select * from outbox")
    data = msgspec.json.decode(row["value"])
    assert (data["organization"], data["community"], data["version"]) == ("acme", None, 1)
    assert data["valid_from"] == version["valid_from"]
    assert dict(row["headers"] and msgspec.json.decode(row["headers"]))["ce_type"] == "scoring.ruleset-published.v1"
    assert await pool.fetchval("select stamp from ruleset_stamp") != stamp


async def test_of_two_versions_published_at_once_one_comes_after_the_other(
    desk: Client, pool: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    answers = await asyncio.gather(*(desk.post("/v1/rulesets", body(ahead(20 + number))) for number in range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    rows = await pool.fetch("select version, valid_from from ruleset_versions order by version")
    assert [row["version"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["valid_from"] for row in rows] == sorted({row["valid_from"] for row in rows})
