"""Every number of every board is the sum of listed entries, and each entry leads to its fact, and that to the request."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from tqdm import tqdm

from deploy.local.client import Caller, board_path, log_in, open_http
from deploy.local.story import METRICS, OWNER, STAR, Play
from tests.support.system import System

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(240)]

Item = dict[str, Any]


@dataclass
class Walk:
    """What was played, and the two who look into it afterwards, over public HTTP alone.

    Attributes:
        asked: every request of the play, by its id: method and path, and the key.
        facts: facts that were looked up already, by event id.
    """

    play: Play
    auditor: Caller
    operator: Caller
    asked: dict[str, tuple[str, str | None]]
    facts: dict[str, Item] = field(default_factory=dict)

    async def pages(self, path: str, **query: Any) -> list[Item]:
        """All items of a list, a few at a time."""
        return await self.auditor.items(f"{path}?{urlencode({**query, 'limit': 3})}")

    async def of(self, person: str, what: str) -> list[Item]:
        """A list of a person, in the community of the play."""
        return await self.pages(f"/scoring/v1/people/{person}/{what}", community=self.play.community)

    async def cause(self, item: Item) -> Item:
        """The request that an entry leads to: from its fact down, at the service that owns the fact."""
        service, event = item["type"].partition(".")[0], item["event_id"]
        while True:
            fact = await self._fact(service, event)
            if fact["follows"] is None:
                return dict(fact["request"])
            event = fact["follows"]

    async def _fact(self, service: str, event: str) -> Item:
        if event not in self.facts:
            self.facts[event] = (await self.operator.get(f"/{service}/v1/facts/{event}")).json()
        return self.facts[event]

    async def check_cause(self, item: Item) -> str:
        """It is a request of the play, with its key; return its method and path."""
        request = await self.cause(item)
        assert (request["route"], request["key"]) == self.asked[request["id"]], item
        return str(request["route"])


@asynccontextmanager
async def played(system: System) -> AsyncIterator[Walk]:
    asked: dict[str, tuple[str, str | None]] = {}

    async def note(answer: httpx.Response) -> None:
        request = answer.request
        route = f"{request.method} {request.url.path}"
        asked[answer.headers["x-request-id"]] = (route, request.headers.get("idempotency-key"))

    async with open_http(system.url) as http:
        http.event_hooks = {"response": [note]}
        play = Play(http, tqdm(disable=True))
        await play.run()
        auditor = await log_in(http, "auditor", scope="scores:read", seen=play.seen)
        yield Walk(play, auditor, await log_in(http, "pager", scope="operate"), asked)


@pytest.fixture(scope="module")
async def walk(system: System, anyio_backend: str) -> AsyncIterator[Walk]:
    async with played(system) as made:
        yield made


@pytest.mark.parametrize("metric", METRICS)
async def test_each_number_of_a_board_is_the_sum_of_listed_entries(walk: Walk, metric: str) -> None:
    today = datetime.now(UTC).date()
    day = {"day": today.isoformat()} if metric == "activity" else {}
    board = await walk.pages(board_path(walk.play.community, metric), **day)
    assert len(board) >= 2
    for item in board:
        person = item["person"]
        if metric == "commission":
            total = sum(entry["amount_minor"] for entry in await walk.of(person, "commission/entries"))
        else:
            entries = await walk.of(person, "entries")
            total = SUMS[metric](entries, today)
        assert item["value"] == pytest.approx(total, abs=1e-6), (metric, person)
        place = f"{board_path(walk.play.community, metric)}/members/{person}?{urlencode(day)}"
        own = (await walk.auditor.get(place)).json()
        assert (own["rank"], own["value"]) == (item["rank"], item["value"])
        if person in walk.play.people:
            me = f"{board_path(walk.play.community, metric)}/me?{urlencode(day)}"
            assert (await walk.play.people[person].get(me)).json() == own


def points(entries: list[Item], _: date) -> float:
    return float(sum(entry["points_given"] for entry in entries))


def activity(entries: list[Item], today: date) -> float:
    """Each entry, halved once a week since its day."""
    weeks = [(today - date.fromisoformat(entry["day"])).days / 7 for entry in entries]
    given = [entry["weight_given"] for entry in entries]
    return sum(float(weight * 2.0**-age) for weight, age in zip(given, weeks, strict=True) if age >= 0)


SUMS: dict[str, Callable[[list[Item], date], float]] = {"points": points, "activity": activity}


async def test_balance_pending_and_payable_are_sums_of_entries_too(walk: Walk) -> None:
    for person in walk.play.people:
        everywhere = await walk.pages(f"/scoring/v1/people/{person}/entries")
        balance = (await walk.auditor.get(f"/scoring/v1/people/{person}/points")).json()["balance"]
        assert balance == sum(entry["points_given"] for entry in everywhere)
        booked = await walk.pages(f"/scoring/v1/people/{person}/commission/entries")
        earned = (await walk.auditor.get(f"/scoring/v1/people/{person}/commission")).json()
        now = datetime.now(UTC)
        pending = sum(one["amount_minor"] for one in booked if datetime.fromisoformat(one["payable_at"]) > now)
        total = sum(one["amount_minor"] for one in booked)
        assert [(one["pending_minor"], one["payable_minor"]) for one in earned["totals"]] == (
            [(pending, total - pending)] if booked else []
        )


async def test_each_entry_leads_to_its_fact_and_that_to_its_request(walk: Walk) -> None:
    methods: dict[str, set[str]] = {}
    for person in walk.play.people:
        for list_name in ("entries", "commission/entries", "unrewarded"):
            for item in await walk.of(person, list_name):
                effects = (await walk.auditor.get(f"/scoring/v1/events/{item['event_id']}/effects")).json()
                shown = effects["commission"] if list_name == "commission/entries" else effects["effects"]
                assert (item in shown) if list_name != "unrewarded" else effects["nothing"] == item["nothing"]
                route = await walk.check_cause(item)
                methods.setdefault(item["type"], set()).add(route.partition(" ")[0])
    # Some were asked for without a key, and some were found out in the background after a request.
    assert methods["content.post-removed.v1"] == {"DELETE", "POST"}
    assert methods["campaigns.purchase-attributed.v1"] == {"POST"}
    assert len(methods) == 13, "every kind of fact about a person"


async def test_each_caller_is_named_with_the_request(walk: Walk) -> None:
    (joined,) = [one for one in await walk.of(STAR, "entries") if one["type"] == "membership.member-joined.v1"]
    request = await walk.cause(joined)
    assert request["caller"] == f"demo/{STAR}"
    earned = (await walk.of(OWNER, "commission/entries"))[0]
    assert (await walk.cause(earned))["caller"] == "demo/shop"


async def test_what_is_less_than_wanted_says_why(walk: Walk) -> None:
    rules = (await walk.auditor.get("/scoring/v1/rulesets/default")).json()
    worth = {rule["act"]: rule for rule in rules["acts"]}
    for person in walk.play.people:
        path = f"/scoring/v1/people/{person}/activity"
        days = (await walk.auditor.get(f"{path}?community={walk.play.community}&limit=100")).json()["days"]
        standing = {(day["day"], act["act"]): act["count"] for day in days for act in day["acts"]}
        entries = await walk.of(person, "entries")
        for entry in entries:
            less = (entry["points_given"], entry["weight_given"]) != (entry["points_wanted"], entry["weight_wanted"])
            assert (entry["reason"] == "daily_cap") == less, entry
        for (day, act), count in standing.items():
            of_them = [one for one in entries if (one["day"], one["act"]) == (day, act)]
            cap = worth[act]["daily_cap"]
            counting = count if cap is None else min(count, cap)
            assert sum(one["weight_given"] for one in of_them) == worth[act]["weight"] * counting
            assert sum(one["weight_wanted"] for one in of_them) == worth[act]["weight"] * count
    capped = [one for one in await walk.of(STAR, "entries") if one["reason"] == "daily_cap"]
    assert sorted(one["points_wanted"] for one in capped) == [-10, 10, 10]


async def test_what_was_worth_nothing_says_why(walk: Walk) -> None:
    nothing = {
        person: [(one["type"].partition(".")[2], one["nothing"]) for one in await walk.of(person, "unrewarded")]
        for person in walk.play.people
    }
    assert ("reaction-added.v1", "own_content") in nothing[STAR]
    assert nothing["rui"] == [("member-joined.v1", "joined_before"), ("member-left.v1", "left")]
    assert ("purchase-attributed.v1", "for_others") in nothing["yan"]
    own = next(one for one in await walk.of(STAR, "unrewarded") if one["nothing"] == "for_others")
    effects = (await walk.auditor.get(f"/scoring/v1/events/{own['event_id']}/effects")).json()
    assert [(one["person"], one["wanted_minor"], one["given_minor"], one["reason"]) for one in effects["levels"]] == [
        (OWNER, 300, 300, None)
    ]


async def test_a_code_that_earned_nothing_says_why(walk: Walk) -> None:
    read = {}
    for name, order in walk.play.orders.items():
        answer = (await walk.play.shop.get(f"/campaigns/v1/purchases/{order['id']}/attribution")).json()
        read[name] = (answer["code"], [(link["person"], link["by"]) for link in answer["chain"][:1]])
    assert read == {
        "code": ("counts", [(STAR, "share_code")]),
        "bound": (None, [(STAR, "binding")]),
        "long ago": (None, [(STAR, "binding")]),
        "returned": (None, [(OWNER, "binding")]),
        "own code": ("own", [(OWNER, "binding")]),
    }


async def test_the_takeback_of_a_refund_is_listed_with_what_it_took(walk: Walk) -> None:
    taken = [one for one in await walk.of(STAR, "commission/entries") if one["refund"] is not None]
    assert [one["amount_minor"] for one in taken] == [-1662]
    assert await walk.check_cause(taken[0]) == (
        f"POST /campaigns/v1/purchases/{walk.play.orders['code']['id']}/refunds"
    )
