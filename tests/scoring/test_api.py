"""Scoring as its callers see it: boards, places, numbers, and the reasons for them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from services.scoring.messages import TYPES
from tests.scoring.feeder import Feeder
from tests.scoring.story import NOON, Story
from tests.support.serving import Client, Served, check_documents

DAY = "2026-03-01"


def reason(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


def board(community: str, metric: str = "points") -> str:
    return f"/v1/communities/{community}/leaderboards/{metric}"


async def all_items(client: Client, path: str) -> list[dict[str, Any]]:
    """Every item of a list, page by page."""
    items: list[dict[str, Any]] = []
    next_path: str | None = path
    while next_path is not None:
        answer = await client.get(next_path)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        next_path = answer.json()["next"]
        if next_path is not None:
            assert next_path.startswith("/")
    return items


@pytest.fixture
async def told(feeder: Feeder) -> tuple[Story, str, Sequence[Any]]:
    """A community of five: ana 30 points, bo and cai 20, dee 10, eve none."""
    story = Story()
    community = story.community()
    joins = [story.joined(person, community) for person in ("ana", "bo", "cai", "dee", "eve")]
    posts = [story.published(person, community) for person in ("bo", "ana", "cai", "ana", "dee", "ana", "bo", "cai")]
    await feeder.apply([*joins, *posts])
    return story, community, posts


async def test_a_leaderboard_ranks_equal_members_equally(scoring: Served, told: tuple[Story, str, Any]) -> None:
    _, community, _ = told
    answer = await scoring.person("eve").get(board(community))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "items": [
            {"rank": 1, "person": "ana", "value": 30},
            {"rank": 2, "person": "bo", "value": 20},
            {"rank": 2, "person": "cai", "value": 20},
            {"rank": 4, "person": "dee", "value": 10},
        ],
        "next": None,
    }


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_join_to_the_whole_board(scoring: Served, told: tuple[Story, str, Any], limit: int) -> None:
    _, community, _ = told
    items = await all_items(scoring.person("eve"), f"{board(community)}?limit={limit}")
    assert [(item["rank"], item["person"]) for item in items] == [(1, "ana"), (2, "bo"), (2, "cai"), (4, "dee")]


async def test_activity_halves_in_a_week_and_never_changes_order(scoring: Served, told: tuple[Story, str, Any]) -> None:
    _, community, _ = told
    path = board(community, "activity")
    today = (await scoring.person("eve").get(f"{path}?day={DAY}")).json()["items"]
    assert [(item["person"], item["value"]) for item in today] == [
        ("ana", 35.0),
        ("bo", 25.0),
        ("cai", 25.0),
        ("dee", 15.0),
        ("eve", 5.0),
    ]
    next_week = (await scoring.person("eve").get(f"{path}?day=2026-03-08")).json()["items"]
    assert [item["value"] for item in next_week] == [17.5, 12.5, 12.5, 7.5, 2.5]
    before = (await scoring.person("eve").get(f"{path}?day=2026-02-28")).json()["items"]
    assert [item["value"] for item in before] == [0.0] * 5
    far = (await scoring.person("eve").get(f"{path}?day=9999-12-31")).json()["items"]
    assert [item["value"] for item in far] == [0.0] * 5


async def test_my_rank_comes_with_two_neighbours_on_each_side(scoring: Served, told: tuple[Story, str, Any]) -> None:
    _, community, _ = told
    mine = (await scoring.person("dee").get(f"{board(community, 'activity')}/me?day={DAY}")).json()
    assert (mine["person"], mine["rank"], mine["value"]) == ("dee", 4, 15.0)
    assert [(item["rank"], item["person"]) for item in mine["neighbours"]] == [
        (2, "bo"),
        (2, "cai"),
        (4, "dee"),
        (5, "eve"),
    ]
    ana = (await scoring.person("dee").get(f"{board(community)}/members/ana")).json()
    assert [(item["rank"], item["person"]) for item in ana["neighbours"]] == [(1, "ana"), (2, "bo"), (2, "cai")]


async def test_a_member_without_points_has_no_rank_yet(scoring: Served, told: tuple[Story, str, Any]) -> None:
    _, community, _ = told
    answer = await scoring.person("eve").get(f"{board(community)}/me")
    assert answer.json() == {"person": "eve", "rank": None, "value": 0, "neighbours": []}


async def test_boards_are_for_active_members_and_scores_read(
    scoring: Served, feeder: Feeder, told: tuple[Story, str, Any]
) -> None:
    story, community, _ = told
    path = board(community)
    assert reason(await scoring.person("zoe").get(path)) == (403, "not-a-member")
    assert reason(await scoring.person("zoe").get(f"{path}/members/ana")) == (403, "not-a-member")
    assert reason(await scoring.person("ana", "zenith").get(path)) == (404, "community-not-found")
    assert reason(await scoring.machine("purchases:write").get(path)) == (403, "scope-missing")
    assert (await scoring.machine("scores:read").get(path)).status_code == 200
    assert reason(await scoring.machine("scores:read", "zenith").get(path)) == (404, "community-not-found")
    assert reason(await scoring.machine("scores:read").get(f"{path}/me")) == (403, "person-required")
    assert reason(await scoring.machine("scores:read").get(f"{path}/members/zoe")) == (404, "member-not-found")
    await feeder.apply([story.left("bo", community)])
    assert reason(await scoring.person("bo").get(path)) == (403, "not-a-member")
    items = (await scoring.person("ana").get(path)).json()["items"]
    assert [item["person"] for item in items] == ["ana", "cai", "dee"]


async def test_points_are_read_by_their_owner_and_scores_read(scoring: Served, told: tuple[Story, str, Any]) -> None:
    ana = scoring.person("ana")
    assert (await ana.get("/v1/people/me/points")).json() == {"person": "ana", "balance": 30}
    assert (await ana.get("/v1/people/ana/points")).json()["balance"] == 30
    assert (await scoring.machine("scores:read").get("/v1/people/ana/points")).json()["balance"] == 30
    assert reason(await scoring.person("bo").get("/v1/people/ana/points")) == (403, "not-your-own")
    assert reason(await scoring.machine("scores:read", "zenith").get("/v1/people/ana/points")) == (
        404,
        "person-not-found",
    )
    assert (await scoring.person("ana", "zenith").get("/v1/people/me/points")).json()["balance"] == 0
    assert (await scoring.person("nobody yet").get("/v1/people/me/points")).json()["balance"] == 0


async def test_entries_say_what_was_wanted_given_and_why_and_add_up(scoring: Served, feeder: Feeder) -> None:
    story = Story()
    community, other = story.community(), story.community()
    posts = [story.published("a/b c", community, at=NOON + timedelta(minutes=minute)) for minute in range(6)]
    elsewhere = story.published("a/b c", other, at=NOON + timedelta(hours=1))
    removal = story.removed(posts[0], at=NOON + timedelta(days=2))
    await feeder.apply([story.joined("a/b c", community, at=NOON - timedelta(days=1)), *posts, elsewhere, removal])
    me = scoring.person("a/b c")
    items = await all_items(me, "/v1/people/me/entries?limit=3")
    assert [(item["points_wanted"], item["points_given"], item["reason"]) for item in items] == [
        (-10, 0, "daily_cap"),
        (10, 10, None),
        (10, 0, "daily_cap"),
        *[(10, 10, None)] * 5,
        (0, 0, None),
    ]
    assert sum(item["points_given"] for item in items) == (await me.get("/v1/people/me/points")).json()["balance"] == 60
    assert items[0] == {
        "event_id": removal.event_id,
        "type": "content.post-removed.v1",
        "community": community,
        "act": "post_published",
        "act_id": items[-2]["act_id"],
        "day": DAY,
        "points_wanted": -10,
        "points_given": 0,
        "weight_wanted": -10,
        "weight_given": 0,
        "reason": "daily_cap",
        "ruleset": 1,
        "occurred_at": "2026-03-03T12:00:00.000000Z",
    }
    assert (items[-1]["act"], items[-1]["weight_given"], items[-1]["act_id"]) == ("member_joined", 5, None)
    here = await all_items(me, f"/v1/people/a%2Fb%20c/entries?community={community}&limit=4")
    assert len(here) == 8
    assert reason(await me.get(f"/v1/people/me/entries?community={story.community()}")) == (404, "community-not-found")


async def test_activity_is_explained_by_the_counts_of_its_days(scoring: Served, feeder: Feeder) -> None:
    story = Story(zone="Asia/Shanghai")
    community = story.community()
    late = NOON.replace(hour=17)  # the next day in Shanghai
    posts = [story.published("ana", community, at=late) for _ in range(6)]
    await feeder.apply([story.joined("ana", community), *posts, story.removed(posts[0]), story.removed(posts[1])])
    ana = scoring.person("ana")
    answer = (await ana.get(f"/v1/people/me/activity?community={community}&day=2026-03-09")).json()
    assert answer == {
        "person": "ana",
        "community": community,
        "active": True,
        "day": "2026-03-09",
        "half_life_days": 7,
        "value": round(40 / 2 + 5 * 2 ** (-8 / 7), 6),
        "days": [
            {
                "day": "2026-03-02",
                "score": 40,
                "acts": [{"act": "post_published", "ruleset": 1, "count": 4, "score": 40}],
            },
            {"day": DAY, "score": 5, "acts": [{"act": "member_joined", "ruleset": 1, "count": 1, "score": 5}]},
        ],
        "next": None,
    }
    first = (await ana.get(f"/v1/people/me/activity?community={community}&limit=1")).json()
    second = (await ana.get(first["next"])).json()
    assert [answer["days"][0]["day"] for answer in (first, second)] == ["2026-03-02", DAY]
    assert second["next"] is None
    earlier = (await ana.get(f"/v1/people/me/activity?community={community}&day={DAY}")).json()
    assert earlier["value"] == 5.0


async def test_the_effects_of_an_event_are_told_to_whom_it_concerns(
    scoring: Served, feeder: Feeder, told: tuple[Story, str, Any]
) -> None:
    story, community, posts = told
    founded, left = story.founded(community), story.left("bo", community)
    await feeder.apply([founded, left])
    path = f"/v1/events/{posts[0].event_id}/effects"
    answer = (await scoring.person("bo").get(path)).json()
    assert (answer["type"], answer["person"], answer["local_day"]) == ("content.post-published.v1", "bo", DAY)
    assert [(effect["points_given"], effect["weight_given"]) for effect in answer["effects"]] == [(10, 10)]
    assert reason(await scoring.person("ana").get(path)) == (403, "not-your-own")
    assert reason(await scoring.person("bo", "zenith").get(path)) == (404, "event-not-found")
    assert reason(await scoring.person("bo").get(f"/v1/events/{story.community()}/effects")) == (404, "event-not-found")
    machine = scoring.machine("scores:read")
    for fact, person in ((founded, None), (left, "bo")):
        answer = (await machine.get(f"/v1/events/{fact.event_id}/effects")).json()
        assert (answer["effects"], answer["person"]) == ([], person)
    assert reason(await scoring.person("bo").get(f"/v1/events/{founded.event_id}/effects")) == (403, "not-your-own")


async def test_the_default_ruleset_is_readable(scoring: Served) -> None:
    answer = (await scoring.person("ana").get("/v1/rulesets/default")).json()
    assert (answer["version"], answer["valid_from"]) == (1, None)
    posts = answer["acts"][0]
    assert (posts["act"], posts["weight"], posts["points"], posts["daily_cap"]) == ("post_published", 10, 10, 5)


async def test_malformed_requests_are_refused(scoring: Served, told: tuple[Story, str, Any]) -> None:
    _, community, _ = told
    boards = f"/v1/communities/{community}/leaderboards"
    expected = {
        f"{boards}/fame": (422, "invalid-request"),
        "/v1/communities/not-a-uuid/leaderboards/points": (422, "invalid-request"),
        f"{boards}/points?limit=0": (422, "invalid-request"),
        f"{boards}/points?after=nonsense": (400, "cursor-malformed"),
        f"{boards}/points?after=WzEsMl0": (400, "cursor-malformed"),
        f"{boards}/points?day={DAY}": (400, "day-not-applicable"),
        f"{boards}/points/me?day={DAY}": (400, "day-not-applicable"),
        f"{boards}/activity?day=2026-02-30": (422, "invalid-request"),
        "/v1/people/me/activity": (422, "invalid-request"),
        "/v1/people/me/entries?after=ImEi": (400, "cursor-malformed"),
        "/v1/events/7/effects": (422, "invalid-request"),
    }
    ana = scoring.person("ana")
    assert {path: reason(await ana.get(path)) for path in expected} == expected


async def test_every_read_needs_a_token(scoring: Served, told: tuple[Story, str, Any]) -> None:
    _, community, _ = told
    for path in (board(community), "/v1/people/me/points", "/v1/rulesets/default"):
        assert (await scoring.http.get(path)).status_code == 401


async def test_a_read_waits_for_what_a_consistency_token_names(scoring: Served, told: tuple[Story, str, Any]) -> None:
    ana = scoring.person("ana")
    assert (await ana.get("/v1/people/me/points", consistency_token="elsewhere.0-9-9-9")).status_code == 400
    waiting = await ana.get("/v1/people/me/points", consistency_token="content.0.1-99999999-1")
    assert reason(waiting) == (503, "not-caught-up")


async def test_the_documents_are_true(scoring: Served) -> None:
    await check_documents(scoring, TYPES)
