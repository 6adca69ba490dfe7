"""Why did I get less, or nothing? Every fact that left no entry is listed with its reason, and every level of a chain."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.scoring.ruleset import Rule, Rules
from shared.facts import stored_fact
from tests.scoring.feeder import Feeder
from tests.scoring.publishing import publish_rules
from tests.scoring.story import NOON, Story
from tests.scoring.test_api import all_items, reason
from tests.support.serving import Client, Served

Levels = list[tuple[int, str | None, int, int, str | None]]


@pytest.fixture
def auditor(scoring: Served) -> Client:
    return scoring.machine("scores:read")


async def effects(client: Client, event_id: str) -> dict[str, Any]:
    answer = await client.get(f"/v1/events/{event_id}/effects")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def levels(client: Client, event_id: str) -> Levels:
    """Level, person, wanted, given, reason."""
    return [
        (one["level"], one["person"], one["wanted_minor"], one["given_minor"], one["reason"])
        for one in (await effects(client, event_id))["levels"]
    ]


async def test_what_changed_nothing_is_listed_with_its_reason(
    scoring: Served, feeder: Feeder, auditor: Client, pool: Any
) -> None:
    story = Story()
    town = story.community()
    own = story.reacted("ana", town, counts=False)
    free, bought = story.bought("ana", town, 0), story.bought("ana", town, 1250)
    facts = {
        "own_content": [own, story.reaction_withdrawn(own)],
        "nothing_paid": [free],
        "for_others": [story.attributed(bought, "bo")],
        "below_one_point": [story.refunded(bought, 1)],
        "left": [story.left("ana", town)],
        "joined_before": [story.joined("ana", town, first=False)],
    }
    await feeder.apply([story.joined("ana", town), story.published("ana", town), bought])
    expected = []
    for why, told in facts.items():
        await feeder.apply(told)
        expected += [(fact.event_id, why) for fact in told]
    ana = scoring.person("ana")
    for limit in (1, 3, 50):
        items = await all_items(ana, f"/v1/people/me/unrewarded?limit={limit}&community={town}")
        assert [(item["event_id"], item["nothing"]) for item in items] == expected[::-1]
    for event_id, why in expected:
        found = await effects(ana, event_id)
        assert (found["effects"], found["nothing"]) == ([], why)
    assert (await effects(ana, bought.event_id))["nothing"] is None
    # Together with the entries it is all that was ever told of ana.
    entries = await all_items(ana, "/v1/people/me/entries")
    assert len(entries) + len(expected) == await pool.fetchval("select count(*) from journal")
    await pool.execute("update journal set void = true where event_id = $1", UUID(expected[-1][0]))
    assert (await effects(ana, expected[-1][0]))["nothing"] == "undone"
    assert len(await all_items(ana, "/v1/people/me/unrewarded")) == len(expected) - 1
    founded = story.founded(town)
    await feeder.apply([founded])
    assert (await effects(auditor, founded.event_id))["nothing"] == "about_a_community"


async def test_an_act_that_a_version_does_not_price_says_so(scoring: Served, feeder: Feeder, pool: Any) -> None:
    rules = Rules(
        acts={"purchase": Rule(weight=0, points=0, minor_units_per_point=1000)},
        commission_basis_points=[],
        commission_hold_days=0,
    )
    await publish_rules(pool, rules, NOON - timedelta(days=1))
    story = Story()
    town = story.community()
    post, little = story.published("ana", town), story.bought("ana", town, 999)
    joined = story.joined("ana", town)
    await feeder.apply([joined, post, little])
    ana = scoring.person("ana")
    whys = [(await effects(ana, fact.event_id))["nothing"] for fact in (joined, post, little)]
    assert whys == ["not_priced", "not_priced", "below_one_point"]
    (day,) = (await ana.get(f"/v1/people/me/activity?community={town}")).json()["days"]
    assert [(act["act"], act["count"], act["score"]) for act in day["acts"] if act["act"] == "post_published"] == [
        ("post_published", 1, 0)
    ]


async def test_each_level_of_a_chain_says_what_the_rate_wanted_and_why_less_was_given(
    scoring: Served, feeder: Feeder, auditor: Client, pool: Any
) -> None:
    one_level = Rules(acts={}, commission_basis_points=[1000], commission_hold_days=15)
    two_levels = Rules(acts={}, commission_basis_points=[1000, 500], commission_hold_days=15)
    await publish_rules(pool, two_levels, NOON - timedelta(days=1))
    await publish_rules(pool, one_level, NOON + timedelta(days=1), version=2)
    story = Story()
    town = story.community()
    whole, tiny, late = (story.bought("bo", town, paid) for paid in (1000, 15, 1000))
    later = story.bought("bo", town, 1000, at=NOON + timedelta(days=2))
    early = story.refunded(late, 400)
    attributed = [
        story.attributed(whole, "ana"),
        story.attributed(tiny, "ana", "cai"),
        story.attributed(late, None, "cai"),
        story.attributed(later, "ana", "cai"),
    ]
    await feeder.apply([whole, tiny, late, later, early, *attributed])
    assert [await levels(auditor, fact.event_id) for fact in attributed] == [
        [(1, "ana", 100, 100, None), (2, None, 50, 0, "nobody")],
        [(1, "ana", 1, 1, None), (2, "cai", 0, 0, "below_one_unit")],
        [(1, None, 100, 0, "nobody"), (2, "cai", 50, 30, "refunded_before")],
        [(1, "ana", 100, 100, None), (2, "cai", 0, 0, "not_priced")],
    ]
    assert await levels(auditor, early.event_id) == []
    # Who stands in a chain sees the own level, earning or not, and nothing of others.
    assert await levels(scoring.person("cai"), attributed[1].event_id) == [(2, "cai", 0, 0, "below_one_unit")]
    assert (await effects(scoring.person("cai"), attributed[1].event_id))["person"] is None
    assert await levels(scoring.person("bo"), attributed[1].event_id) == []
    stranger = await scoring.person("dee").get(f"/v1/events/{attributed[1].event_id}/effects")
    assert reason(stranger) == (403, "not-your-own")


async def test_the_list_is_the_persons_own_business(scoring: Served, feeder: Feeder, auditor: Client) -> None:
    story = Story()
    town = story.community()
    await feeder.apply([story.joined("ana", town, first=False)])
    path = "/v1/people/ana/unrewarded"
    assert reason(await scoring.person("bo").get(path)) == (403, "not-your-own")
    assert len((await auditor.get(path)).json()["items"]) == 1
    assert reason(await scoring.machine("scores:read", "zenith").get(path)) == (404, "person-not-found")
    assert (await scoring.person("new").get("/v1/people/me/unrewarded")).json() == {"items": [], "next": None}
    assert reason(await auditor.get(f"{path}?community={story.community()}")) == (404, "community-not-found")


async def test_a_booking_follows_the_fact_that_brought_it(scoring: Served, feeder: Feeder, pool: Any) -> None:
    story = Story()
    bought = story.bought("bo", story.community(), 1000)
    attributed, refunded = story.attributed(bought, "ana"), story.refunded(bought, 500)
    await feeder.apply([bought, attributed, refunded])
    booked = await pool.fetch("select event_id::text from events order by sequence")
    facts = [await stored_fact(scoring.kernel.writer, row["event_id"]) for row in booked]
    assert [(fact.type, fact.follows) for fact in facts if fact is not None] == [
        ("commission-booked.v1", attributed.event_id),
        ("commission-booked.v1", refunded.event_id),
    ]
