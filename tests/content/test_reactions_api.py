"""Reactions as their callers see them."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.content.calls import FEED, messages, published, reason, stored
from tests.content.conftest import Hear
from tests.content.heard import left
from tests.support.serving import Served

LIKE = {"kind": "like"}


@pytest.fixture(params=["post", "comment"])
async def target(request: pytest.FixtureRequest, runners: Served) -> str:
    """Something of bo's to react to."""
    bo = runners.person("bo")
    post = await published(bo)
    if request.param == "post":
        return post
    added = await bo.post(f"{post}/comments", {"body": "Who else?"})
    return f"/v1/comments/{added.json()['id']}"


async def counts(served: Served, target: str) -> dict[str, int]:
    found: dict[str, int] = (await served.person("ana").get(target)).json()["reactions"]
    return found


def of_reactions(sent: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    return [(name.split(".")[1], data) for name, data in sent if "reaction" in name]


async def test_reactions_are_counted_by_kind(runners: Served, target: str) -> None:
    ana, cy = runners.person("ana"), runners.person("cy")
    answer = await cy.post(f"{target}/reactions", LIKE)
    assert answer.status_code == 201
    assert {name: answer.json()[name] for name in ("target", "person", "kind", "counts")} == {
        "target": target.rsplit("/", 1)[1],
        "person": "cy",
        "kind": "like",
        "counts": True,
    }
    await ana.post(f"{target}/reactions", LIKE)
    await ana.post(f"{target}/reactions", {"kind": "thanks"})
    assert await counts(runners, target) == {"like": 2, "thanks": 1}
    assert (await cy.delete(f"{target}/reactions/like")).status_code == 204
    assert await counts(runners, target) == {"like": 1, "thanks": 1}


async def test_one_of_each_kind_stands_and_may_be_given_again(runners: Served, target: str) -> None:
    cy = runners.person("cy")
    first = await cy.post(f"{target}/reactions", LIKE)
    same = await cy.post(f"{target}/reactions", LIKE)
    assert (same.status_code, same.content) == (200, first.content)
    for _ in range(2):
        assert (await cy.delete(f"{target}/reactions/like")).status_code == 204
    again = await cy.post(f"{target}/reactions", LIKE)
    assert again.status_code == 201
    assert again.json()["id"] != first.json()["id"]
    sent = of_reactions(await messages(runners))
    assert [name for name, _ in sent] == ["reaction-added", "reaction-withdrawn", "reaction-added"]
    assert sent[1][1]["reaction"] == first.json()["id"]
    assert sent[1][1]["act_local_day"] == sent[0][1]["local_day"]


async def test_of_parallel_identical_reactions_one_is_recorded(runners: Served, second: Served, target: str) -> None:
    callers = [served.person(person) for person in ("ana", "cy") for served in (runners, second)]
    answers = await asyncio.gather(*(caller.post(f"{target}/reactions", LIKE) for _ in range(10) for caller in callers))
    assert Counter(answer.status_code for answer in answers) == {201: 2, 200: 38}
    assert len({answer.json()["id"] for answer in answers}) == 2
    assert await counts(runners, target) == {"like": 2}
    assert len(of_reactions(await messages(runners))) == 2


async def test_counts_stay_right_while_many_react_and_take_back(runners: Served, second: Served, target: str) -> None:
    """Two processes add to the same sums."""
    people = [runners.person("ana"), runners.person("cy"), second.person("ana"), second.person("cy")]

    async def change(number: int) -> None:
        person, kind = people[number % 4], ("like", "love")[number % 2]
        if number % 3:
            assert (await person.post(f"{target}/reactions", {"kind": kind})).status_code in {200, 201}
        else:
            assert (await person.delete(f"{target}/reactions/{kind}")).status_code == 204

    await asyncio.gather(*(change(number) for number in range(60)))
    standing: Counter[str] = Counter()
    for name, data in of_reactions(await messages(runners)):
        standing[data["kind"]] += 1 if name == "reaction-added" else -1
    assert await counts(runners, target) == +standing


async def test_to_something_of_ones_own_it_does_not_count(runners: Served, target: str) -> None:
    bo = runners.person("bo")
    answer = await bo.post(f"{target}/reactions", LIKE)
    assert (answer.status_code, answer.json()["counts"]) == (201, False)
    assert await counts(runners, target) == {}
    await bo.delete(f"{target}/reactions/like")
    assert await counts(runners, target) == {}
    assert [data["counts"] for _, data in of_reactions(await messages(runners))] == [False, False]


async def test_nobody_reacts_to_what_does_not_stand_but_takes_back(runners: Served, target: str) -> None:
    ana, cy = runners.person("ana"), runners.person("cy")
    assert (await cy.post(f"{target}/reactions", LIKE)).status_code == 201
    (post,) = [item["id"] for item in (await ana.get(FEED)).json()["items"]]
    await ana.post(f"/v1/posts/{post}/hide")
    assert reason(await ana.post(f"{target}/reactions", LIKE)) == (409, "post-hidden")
    assert (await cy.post(f"{target}/reactions", LIKE)).status_code == 200
    assert (await cy.delete(f"{target}/reactions/like")).status_code == 204


async def test_who_left_takes_back_and_does_not_react(runners: Served, hear: Hear, target: str) -> None:
    cy = runners.person("cy")
    await cy.post(f"{target}/reactions", LIKE)
    await hear(left("cy"))
    assert reason(await cy.post(f"{target}/reactions", {"kind": "love"})) == (403, "not-a-member")
    assert (await cy.delete(f"{target}/reactions/like")).status_code == 204
    assert await counts(runners, target) == {}


async def test_an_import_reacts_for_a_person_and_states_when(runners: Served, target: str) -> None:
    stated = {**LIKE, "occurred_at": "2010-07-28T17:00:00Z"}
    answer = await runners.machine("import", acting="cy").post(f"{target}/reactions", stated)
    assert (answer.status_code, answer.json()["person"], answer.json()["occurred_at"]) == (
        201,
        "cy",
        "2010-07-28T17:00:00.000000Z",
    )
    assert of_reactions(await messages(runners))[0][1]["local_day"] == "2010-07-29"
    refused = await runners.person("cy").post(f"{target}/reactions", {**stated, "kind": "love"})
    assert reason(refused) == (403, "occurred-at-not-allowed")


async def test_another_organization_finds_nothing_to_react_to(runners: Served, target: str) -> None:
    before = await stored(runners)
    stranger, kind = runners.person("cy", organization="umbrella"), target.split("/")[2].removesuffix("s")
    missing = f"{target.rsplit('/', 1)[0]}/0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6aff"
    for path in (target, missing):
        assert reason(await stranger.post(f"{path}/reactions", LIKE)) == (404, f"{kind}-not-found")
        assert reason(await stranger.delete(f"{path}/reactions/like")) == (404, f"{kind}-not-found")
    assert await stored(runners) == before


async def test_a_kind_that_is_none_is_refused(runners: Served, target: str) -> None:
    cy = runners.person("cy")
    assert reason(await cy.post(f"{target}/reactions", {"kind": "hate"})) == (422, "invalid-request")
    assert reason(await cy.delete(f"{target}/reactions/comments")) == (422, "invalid-request")
