"""Commission as its readers see it: board, totals, entries, and what each follows from."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.scoring.ruleset import Rules
from shared.messaging.facts import InboundFact
from tests.scoring.feeder import Feeder
from tests.scoring.publishing import publish_rules
from tests.scoring.story import NOON, Story
from tests.scoring.test_api import all_items, reason
from tests.support.serving import Served

LATELY = datetime.now(UTC) - timedelta(days=1)
TWO_LEVELS = Rules(acts={}, commission_basis_points=[1000, 500], commission_hold_days=15)


@pytest.fixture
async def sold(feeder: Feeder, pool: Any) -> tuple[Story, str, Sequence[InboundFact]]:
    """Three orders of bo, who was brought by ana, who was brought by cai; the first long ago, the last in dollars
    elsewhere. Of the second, half was refunded. Of two levels, the first earns 10 %, the second 5 %."""
    story = Story()
    community, elsewhere = story.community(), story.community()
    await publish_rules(pool, TWO_LEVELS, NOON - timedelta(days=1))
    await feeder.apply([story.joined(person, community) for person in ("ana", "bo", "cai", "dee")])
    old, new = story.bought("bo", community, 2000), story.bought("bo", community, 1000, at=LATELY)
    dollars = story.bought("bo", elsewhere, 300, at=LATELY, currency="USD")
    facts = [
        story.attributed(old, "ana", "cai"),
        story.attributed(new, "ana", "cai"),
        story.refunded(new, 500),
        story.attributed(dollars, "ana"),
    ]
    await feeder.apply([old, new, dollars, *facts])
    return story, community, facts


async def test_the_board_ranks_active_members_by_commission(
    scoring: Served, feeder: Feeder, sold: tuple[Story, str, Any]
) -> None:
    story, community, _ = sold
    path = f"/v1/communities/{community}/leaderboards/commission"
    top = [
        {"rank": 1, "person": "ana", "value": 250, "currency": "CNY"},
        {"rank": 2, "person": "cai", "value": 125, "currency": "CNY"},
    ]
    assert (await scoring.person("dee").get(path)).json() == {"items": top, "next": None}
    assert (await scoring.person("cai").get(f"{path}/me")).json() == {
        "person": "cai",
        "rank": 2,
        "value": 125,
        "currency": "CNY",
        "neighbours": top,
    }
    assert (await scoring.person("dee").get(f"{path}/me")).json()["rank"] is None
    assert reason(await scoring.person("dee").get(f"{path}?day=2026-03-01")) == (400, "day-not-applicable")
    await feeder.apply([story.left("ana", community)])
    left = (await scoring.person("dee").get(path)).json()["items"]
    assert [(item["rank"], item["person"]) for item in left] == [(1, "cai")]


async def test_commission_is_pending_until_its_time_and_then_payable(
    scoring: Served, sold: tuple[Story, str, Any]
) -> None:
    _, community, _ = sold
    answer = (await scoring.person("ana").get("/v1/people/me/commission")).json()
    cny = {"currency": "CNY", "pending_minor": 50, "payable_minor": 200, "total_minor": 250}
    usd = {"currency": "USD", "pending_minor": 30, "payable_minor": 0, "total_minor": 30}
    assert (answer["person"], answer["totals"]) == ("ana", [cny, usd])
    assert {**cny, "community": community} in answer["communities"]
    assert len(answer["communities"]) == 2
    nothing = {"person": "dee", "totals": [], "communities": []}
    assert (await scoring.person("dee").get("/v1/people/me/commission")).json() == nothing


@pytest.mark.parametrize("limit", [1, 2, 50])
async def test_entries_are_listed_newest_first_and_add_up(
    scoring: Served, sold: tuple[Story, str, Any], limit: int
) -> None:
    _, community, facts = sold
    items = await all_items(
        scoring.person("ana"), f"/v1/people/me/commission/entries?limit={limit}&community={community}"
    )
    assert [(item["amount_minor"], item["level"], item["event_id"]) for item in items] == [
        (-50, 1, facts[2].event_id),
        (100, 1, facts[1].event_id),
        (200, 1, facts[0].event_id),
    ]
    assert [item["type"] for item in items[:2]] == [
        "campaigns.purchase-refunded.v1",
        "campaigns.purchase-attributed.v1",
    ]
    assert items[0]["refund"] is not None
    assert (items[1]["refund"], items[1]["currency"], items[1]["rate_basis_points"]) == (None, "CNY", 1000)
    everywhere = await all_items(scoring.person("ana"), f"/v1/people/me/commission/entries?limit={limit}")
    assert len(everywhere) == 4


async def test_commission_is_the_persons_own_business(scoring: Served, sold: tuple[Story, str, Any]) -> None:
    _, community, _ = sold
    for path in ("/v1/people/ana/commission", "/v1/people/ana/commission/entries"):
        assert reason(await scoring.person("bo").get(path)) == (403, "not-your-own")
        assert reason(await scoring.machine("purchases:write").get(path)) == (403, "not-your-own")
        assert (await scoring.http.get(path)).status_code == 401
        assert (await scoring.machine("scores:read").get(path)).status_code == 200
        elsewhere = scoring.machine("scores:read", "zenith")
        assert reason(await elsewhere.get(path)) == (404, "person-not-found")
    stranger = await scoring.person("ana", "zenith").get("/v1/people/me/commission")
    assert stranger.json()["communities"] == []
    foreign = scoring.person("ana", "zenith")
    path = f"/v1/people/me/commission/entries?community={community}"
    assert reason(await foreign.get(path)) == (404, "community-not-found")


async def test_a_fact_shows_each_reader_what_is_their_own(scoring: Served, sold: tuple[Story, str, Any]) -> None:
    _, _, facts = sold
    refund = f"/v1/events/{facts[2].event_id}/effects"
    whole = (await scoring.machine("scores:read").get(refund)).json()
    assert whole["person"] == "bo"
    assert [(one["person"], one["level"], one["amount_minor"]) for one in whole["commission"]] == [
        ("ana", 1, -50),
        ("cai", 2, -25),
    ]
    buyer = (await scoring.person("bo").get(refund)).json()
    assert (buyer["person"], buyer["commission"]) == ("bo", [])
    earner = (await scoring.person("cai").get(refund)).json()
    assert (earner["person"], earner["effects"]) == (None, [])
    assert [one["amount_minor"] for one in earner["commission"]] == [-25]
    assert reason(await scoring.person("dee").get(refund)) == (403, "not-your-own")
    assert reason(await scoring.person("ana", "zenith").get(refund)) == (404, "event-not-found")


async def test_points_for_money_are_explained_by_purchase_and_refund(scoring: Served, feeder: Feeder) -> None:
    story = Story()
    bought = story.bought("eve", story.community(), 1250)
    refunds = [story.refunded(bought, 1), story.refunded(bought, 60), story.refunded(bought, 1189)]
    await feeder.apply([bought, *refunds])
    items = await all_items(scoring.person("eve"), "/v1/people/me/entries")
    assert [(item["event_id"], item["points_given"], item["weight_given"]) for item in items] == [
        (refunds[2].event_id, -11, -20),
        (refunds[1].event_id, -1, 0),
        (bought.event_id, 12, 20),
    ]
    assert {item["act"] for item in items} == {"purchase"}
    nothing = (await scoring.person("eve").get(f"/v1/events/{refunds[0].event_id}/effects")).json()
    assert (nothing["effects"], nothing["commission"]) == ([], [])
    assert (await scoring.person("eve").get("/v1/people/me/points")).json()["balance"] == 0
