"""Campaigns as its callers see it."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from services.campaigns.messages import TYPES
from shared.http.models import format_instant
from tests.campaigns.conftest import Hear
from tests.campaigns.facts import RUNNERS
from tests.campaigns.heard import founded, joined
from tests.support.serving import Client, Served, check_documents

PURCHASES = "/v1/purchases"
MISSING = f"{PURCHASES}/0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6aff"
ORDER: dict[str, Any] = {
    "community": RUNNERS,
    "order_id": "o-1",
    "buyer": "cy",
    "paid_minor": 59_900,
    "currency": "CNY",
}


@pytest.fixture
async def shop(campaigns: Served, hear: Hear) -> Client:
    """The shop backend of acme, whose community is known."""
    await hear(founded())
    return campaigns.machine("purchases:write")


async def bought(shop: Client, **changes: Any) -> str:
    """Path of a new purchase."""
    answer = await shop.post(PURCHASES, {**ORDER, **changes})
    assert answer.status_code == 201, answer.text
    return f"{PURCHASES}/{answer.json()['id']}"


async def stored(served: Served) -> list[str]:
    """Types of all facts, as they were stored."""
    connection = await asyncpg.connect(served.dsn)
    try:
        return [row["type"] for row in await connection.fetch("select type from events order by sequence")]
    finally:
        await connection.close()


def reason(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def order_ids(reader: Client, path: str = PURCHASES) -> list[str]:
    """Of a whole list, page by page."""
    seen = []
    following: str | None = path
    while following is not None:
        page = (await reader.get(following)).json()
        seen += [item["order_id"] for item in page["items"]]
        following = page["next"]
    return seen


async def test_a_shop_records_a_purchase(campaigns: Served, shop: Client) -> None:
    lines = [{"product": "shoes-42", "quantity": 2, "amount_minor": 30_000}]
    full = {"lines": lines, "commissionable_minor": 50_000, "share_code": "5r8t-2w4z", "campaign": "spring"}
    answer = await shop.post(PURCHASES, {**ORDER, **full})
    assert answer.status_code == 201
    body = answer.json()
    id = body.pop("id")
    assert datetime.now(UTC) - datetime.fromisoformat(body.pop("occurred_at")) < timedelta(minutes=1)
    assert body == {
        "community": RUNNERS,
        "order_id": "o-1",
        "buyer": "cy",
        "lines": lines,
        "paid_minor": 59_900,
        "commissionable_minor": 50_000,
        "currency": "CNY",
        "share_code": "5R8T2W4Z",
        "campaign": "spring",
        "refunded_minor": 0,
        "net_commissionable_minor": 50_000,
        "attribution": "pending",
        "chain": [],
        "version": 1,
    }
    assert (answer.headers["location"], answer.headers["etag"]) == (f"/campaigns/v1/purchases/{id}", '"1"')
    assert answer.headers["consistency-token"].startswith("campaigns.")
    read = await shop.get(f"{PURCHASES}/{id}")
    assert (read.content, read.headers["etag"]) == (answer.content, '"1"')
    assert (await shop.get(PURCHASES)).json() == {"items": [answer.json()], "next": None}
    assert (await shop.get(f"{PURCHASES}/{id}", If_None_Match='"1"')).status_code == 304


async def test_all_that_was_paid_is_commissionable_unless_said_otherwise(shop: Client) -> None:
    for order_id, changes in (("a", {}), ("b", {"commissionable_minor": None})):
        read = (await shop.get(await bought(shop, order_id=order_id, **changes))).json()
        assert (read["commissionable_minor"], read["lines"]) == (59_900, [])


async def test_a_community_is_known_from_a_join_as_well(campaigns: Served, hear: Hear) -> None:
    shop = campaigns.machine("purchases:write")
    assert reason(await shop.post(PURCHASES, ORDER)) == (404, "community-not-found")
    await hear(joined("bo"))
    assert (await shop.post(PURCHASES, ORDER)).status_code == 201


async def test_a_purchase_waits_for_what_a_consistency_token_names(campaigns: Served, shop: Client) -> None:
    answer = await shop.post(PURCHASES, ORDER, Consistency_Token="membership.5.1-9999999-1")
    assert reason(answer) == (503, "not-caught-up")
    assert await stored(campaigns) == []


async def test_only_shops_write(campaigns: Served, shop: Client) -> None:
    path = await bought(shop)
    refund = {"refund_id": "r-1", "amount_minor": 1}
    for caller in (
        campaigns.person("cy"),
        campaigns.machine("import"),
        campaigns.machine("import", acting="cy"),
        campaigns.machine("scores:read rules:write"),
    ):
        assert reason(await caller.post(PURCHASES, ORDER)) == (403, "scope-missing")
        assert reason(await caller.post(f"{path}/refunds", refund)) == (403, "scope-missing")
    assert await stored(campaigns) == ["purchase-recorded.v1"]


async def test_a_buyer_reads_the_own_purchases_and_no_others(campaigns: Served, shop: Client) -> None:
    own, other = await bought(shop), await bought(shop, order_id="o-2", buyer="bo")
    await shop.post(f"{own}/refunds", {"refund_id": "r-1", "amount_minor": 100})
    for cy in (campaigns.person("cy"), campaigns.machine("import", acting="cy")):
        assert (await cy.get(own)).json()["refunded_minor"] == 100
        assert [item["refund_id"] for item in (await cy.get(f"{own}/refunds")).json()["items"]] == ["r-1"]
        assert await order_ids(cy) == ["o-1"]
        assert await order_ids(cy, f"{PURCHASES}?order_id=o-2") == []
        for path in (other, f"{other}/refunds"):
            assert reason(await cy.get(path)) == (403, "not-your-own")
    for path in (own, f"{own}/refunds", PURCHASES):
        assert reason(await campaigns.machine("import").get(path)) == (403, "scope-missing")
    assert await order_ids(shop) == ["o-2", "o-1"]


async def test_a_foreign_organization_sees_nothing(campaigns: Served, shop: Client) -> None:
    own = await bought(shop)
    foreign = campaigns.machine("purchases:write", organization="umbrella")
    assert reason(await foreign.post(PURCHASES, ORDER)) == (404, "community-not-found")
    refund = {"refund_id": "r-1", "amount_minor": 1}
    for caller in (foreign, campaigns.person("cy", organization="umbrella")):
        for suffix in ("", "/refunds"):
            answers = [await caller.get(f"{path}{suffix}") for path in (own, MISSING)]
            assert {reason(answer) for answer in answers} == {(404, "purchase-not-found")}
            assert len({answer.json()["detail"] for answer in answers}) == 1
        assert await order_ids(caller) == await order_ids(caller, f"{PURCHASES}?order_id=o-1") == []
    for path in (own, MISSING):
        assert reason(await foreign.post(f"{path}/refunds", refund)) == (404, "purchase-not-found")
    assert await stored(campaigns) == ["purchase-recorded.v1"]


async def test_two_organizations_may_use_the_same_order_id(campaigns: Served, shop: Client, hear: Hear) -> None:
    others = "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a11"
    await hear(founded(community=others, organization="acme-o"))
    shops = {"acme": (shop, RUNNERS), "acme-o": (campaigns.machine("purchases:write", organization="acme-o"), others)}
    # Joined without care, "acme" + "o-1" and "acme-o" + "1" are one name.
    for organization, order_id in (("acme", "o-1"), ("acme-o", "1"), ("acme-o", "o-1")):
        own, community = shops[organization]
        answer = await own.post(PURCHASES, {**ORDER, "community": community, "order_id": order_id})
        assert answer.status_code == 201, (organization, order_id)
    assert await order_ids(shops["acme-o"][0]) == ["o-1", "1"]


async def test_any_text_is_an_order_id(shop: Client) -> None:
    for order_id in ("/", "%2D", "-", " ", "群力" * 32, "o'1", "😀" * 64):
        await bought(shop, order_id=order_id)
        assert reason(await shop.post(PURCHASES, {**ORDER, "order_id": order_id, "paid_minor": 1})) == (
            409,
            "order-id-used",
        )
    found = await shop.get(f"{PURCHASES}?order_id=%252D")
    assert [item["order_id"] for item in found.json()["items"]] == ["%2D"]


async def test_the_same_order_with_another_key_is_the_same_purchase(campaigns: Served, shop: Client) -> None:
    first = await shop.post(PURCHASES, ORDER)
    path = f"{PURCHASES}/{first.json()['id']}"
    await shop.post(f"{path}/refunds", {"refund_id": "r-1", "amount_minor": 1})
    again = await shop.post(PURCHASES, ORDER)
    assert (again.status_code, again.content) == (200, first.content)
    assert (again.headers["etag"], again.headers["location"]) == (first.headers["etag"], first.headers["location"])
    for changes in ({"paid_minor": 59_901}, {"buyer": "bo"}, {"share_code": "5R8T2W4Z"}, {"campaign": "x"}):
        assert reason(await shop.post(PURCHASES, {**ORDER, **changes})) == (409, "order-id-used")
    assert await stored(campaigns) == ["purchase-recorded.v1", "purchase-refunded.v1"]


async def test_a_repeat_is_answered_byte_for_byte_and_for_good(campaigns: Served, shop: Client) -> None:
    first = await shop.post(PURCHASES, ORDER, key="buy")
    repeat = await shop.post(PURCHASES, ORDER, key="buy")
    assert (repeat.status_code, repeat.content) == (201, first.content)
    for name in ("etag", "location", "consistency-token"):
        assert repeat.headers[name] == first.headers[name]
    assert repeat.headers["idempotency-replayed"] == "true"
    assert reason(await shop.post(PURCHASES, {**ORDER, "order_id": "o-2"}, key="buy")) == (
        422,
        "idempotency-key-reused",
    )
    await shop.post(
        f"{PURCHASES}/{first.json()['id']}/refunds", {"refund_id": "r-1", "amount_minor": 1}, key="pay-back"
    )
    kept = await campaigns.kernel.writer.fetch("select key, expires_at from idempotency_keys")
    assert {row["key"]: row["expires_at"] for row in kept} == {"buy": None, "pay-back": None}


async def test_of_parallel_requests_for_one_order_one_records_it(campaigns: Served, shop: Client) -> None:
    answers = await asyncio.gather(*(shop.post(PURCHASES, ORDER) for _ in range(10)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 9}
    assert len({answer.content for answer in answers}) == 1
    assert await stored(campaigns) == ["purchase-recorded.v1"]


async def test_of_parallel_different_orders_of_one_id_one_wins(campaigns: Served, shop: Client) -> None:
    answers = await asyncio.gather(
        *(shop.post(PURCHASES, {**ORDER, "paid_minor": 1000 + number}) for number in range(10))
    )
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 9}
    assert {reason(answer)[1] for answer in answers if answer.status_code == 409} == {"order-id-used"}
    assert await stored(campaigns) == ["purchase-recorded.v1"]


async def test_a_purchase_is_refunded_in_parts(shop: Client) -> None:
    path = await bought(shop, commissionable_minor=50_000)
    answer = await shop.post(f"{path}/refunds", {"refund_id": "r-1", "amount_minor": 19_900})
    assert answer.status_code == 201
    body = answer.json()
    assert datetime.fromisoformat(body.pop("occurred_at")).tzinfo is not None and body.pop("id")
    assert body == {
        "purchase": path.removeprefix(f"{PURCHASES}/"),
        "refund_id": "r-1",
        "amount_minor": 19_900,
        "refunded_minor": 19_900,
        "currency": "CNY",
    }
    read = (await shop.get(path)).json()
    assert (read["refunded_minor"], read["net_commissionable_minor"], read["version"]) == (19_900, 33_388, 2)
    too_much = await shop.post(f"{path}/refunds", {"refund_id": "r-2", "amount_minor": 40_001})
    assert reason(too_much) == (409, "refund-above-remainder")
    assert too_much.json()["left_minor"] == 40_000
    rest = await shop.post(f"{path}/refunds", {"refund_id": "r-2", "amount_minor": 40_000})
    assert (rest.status_code, rest.json()["refunded_minor"]) == (201, 59_900)
    listed = await shop.get(f"{path}/refunds")
    assert listed.json() == {"items": [answer.json(), rest.json()], "next": None}
    assert (await shop.get(path)).json()["net_commissionable_minor"] == 0


async def test_the_same_refund_is_made_once(campaigns: Served, shop: Client) -> None:
    path = await bought(shop)
    first = await shop.post(f"{path}/refunds", {"refund_id": "r-1", "amount_minor": 100})
    await shop.post(f"{path}/refunds", {"refund_id": "r-2", "amount_minor": 59_800})
    again = await shop.post(f"{path}/refunds", {"refund_id": "r-1", "amount_minor": 100})
    assert (again.status_code, again.content) == (200, first.content)
    assert reason(await shop.post(f"{path}/refunds", {"refund_id": "r-1", "amount_minor": 99})) == (
        409,
        "refund-id-used",
    )
    other = await bought(shop, order_id="o-2")
    assert (await shop.post(f"{other}/refunds", {"refund_id": "r-1", "amount_minor": 99})).status_code == 201
    assert (await stored(campaigns)).count("purchase-refunded.v1") == 3


async def test_parallel_refunds_never_exceed_what_was_paid(campaigns: Served, shop: Client) -> None:
    path = await bought(shop, paid_minor=1000)
    answers = await asyncio.gather(
        *(shop.post(f"{path}/refunds", {"refund_id": f"r-{number}", "amount_minor": 300}) for number in range(10))
    )
    assert Counter(answer.status_code for answer in answers) == {201: 3, 409: 7}
    assert {answer.json()["left_minor"] for answer in answers if answer.status_code == 409} == {100}
    assert sorted(answer.json()["refunded_minor"] for answer in answers if answer.status_code == 201) == [300, 600, 900]
    assert (await shop.get(path)).json()["refunded_minor"] == 900


async def test_parallel_requests_for_one_refund_make_it_once(campaigns: Served, shop: Client) -> None:
    path = await bought(shop, paid_minor=1000)
    answers = await asyncio.gather(
        *(shop.post(f"{path}/refunds", {"refund_id": "r-1", "amount_minor": 600}) for _ in range(10))
    )
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 9}
    assert len({answer.content for answer in answers}) == 1
    mixed = await asyncio.gather(
        *(shop.post(f"{path}/refunds", {"refund_id": "r-2", "amount_minor": amount}) for amount in (7, 8))
    )
    assert Counter(answer.status_code for answer in mixed) == {201: 1, 409: 1}
    assert (await stored(campaigns)).count("purchase-refunded.v1") == 2


async def test_lists_are_read_page_by_page_while_they_grow(campaigns: Served, shop: Client) -> None:
    for number in range(5):
        await bought(shop, order_id=f"o-{number}", buyer=f"p{number % 2}")
    page = (await shop.get(f"{PURCHASES}?limit=2")).json()
    assert [item["order_id"] for item in page["items"]] == ["o-4", "o-3"]
    path = await bought(shop, order_id="newest")
    assert await order_ids(shop, page["next"]) == ["o-2", "o-1", "o-0"]
    assert await order_ids(campaigns.person("p0"), f"{PURCHASES}?limit=2") == ["o-4", "o-2", "o-0"]
    for number in range(1, 4):
        await shop.post(f"{path}/refunds", {"refund_id": f"r-{number}", "amount_minor": number})
    page = (await shop.get(f"{path}/refunds?limit=2")).json()
    assert [item["refund_id"] for item in page["items"]] == ["r-1", "r-2"]
    page = (await shop.get(page["next"])).json()
    assert ([item["refund_id"] for item in page["items"]], page["next"]) == (["r-3"], None)
    for cursor in ("AAAA", "WzFd", "x" * 2000):
        assert (await shop.get(f"{PURCHASES}?after={cursor}")).status_code in {400, 422}
        assert (await shop.get(f"{path}/refunds?after={cursor}")).status_code in {400, 422}


async def test_an_import_states_when_it_happened(campaigns: Served, shop: Client) -> None:
    importer = campaigns.machine("purchases:write import")
    long_ago = {**ORDER, "occurred_at": "1996-12-31T23:30:00.5-01:00"}
    answer = await importer.post(PURCHASES, long_ago)
    assert answer.json()["occurred_at"] == "1997-01-01T00:30:00.500000Z"
    assert (await importer.post(PURCHASES, long_ago)).status_code == 200
    assert reason(await importer.post(PURCHASES, {**long_ago, "occurred_at": "1997-01-01T00:30:00Z"})) == (
        409,
        "order-id-used",
    )
    path = f"{PURCHASES}/{answer.json()['id']}/refunds"
    refund = {"refund_id": "r-1", "amount_minor": 1, "occurred_at": "1997-02-01T00:00:00Z"}
    assert (await importer.post(path, refund)).json()["occurred_at"] == "1997-02-01T00:00:00.000000Z"
    ahead, soon = (format_instant(datetime.now(UTC) + timedelta(minutes=minutes)) for minutes in (6, 4))
    new = {**ORDER, "order_id": "o-2"}
    assert reason(await importer.post(PURCHASES, {**new, "occurred_at": ahead})) == (422, "occurred-at-in-future")
    assert (await importer.post(PURCHASES, {**new, "occurred_at": soon})).json()["occurred_at"] == soon
    assert reason(await shop.post(PURCHASES, {**ORDER, "order_id": "o-3", "occurred_at": soon})) == (
        403,
        "occurred-at-not-allowed",
    )
    assert reason(await shop.post(path, {"refund_id": "r-2", "amount_minor": 1, "occurred_at": soon})) == (
        403,
        "occurred-at-not-allowed",
    )


LINE = {"product": "p", "quantity": 1, "amount_minor": 1}
BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"community": "runners"}, "/community"),
    ({"order_id": ""}, "/order_id"),
    ({"order_id": "x" * 65}, "/order_id"),
    ({"order_id": 7}, "/order_id"),
    ({"buyer": ""}, "/buyer"),
    ({"buyer": "x" * 65}, "/buyer"),
    ({"paid_minor": -1}, "/paid_minor"),
    ({"paid_minor": 10**12 + 1}, "/paid_minor"),
    ({"paid_minor": 2**70}, "/paid_minor"),
    ({"paid_minor": "59900"}, "/paid_minor"),
    ({"paid_minor": 599.5}, "/paid_minor"),
    ({"paid_minor": True}, "/paid_minor"),
    ({"paid_minor": None}, "/paid_minor"),
    ({"commissionable_minor": -1}, "/commissionable_minor"),
    ({"commissionable_minor": 2**70}, "/commissionable_minor"),
    ({"commissionable_minor": "1"}, "/commissionable_minor"),
    ({"currency": "cny"}, "/currency"),
    ({"currency": "ABC"}, "/currency"),
    ({"share_code": "5R8T2W4"}, "/share_code"),
    ({"share_code": "5R8T2W4U"}, "/share_code"),
    ({"share_code": ""}, "/share_code"),
    ({"campaign": ""}, "/campaign"),
    ({"campaign": "x" * 65}, "/campaign"),
    ({"lines": None}, "/lines"),
    ({"lines": [LINE] * 501}, "/lines"),
    ({"lines": [{**LINE, "quantity": 0}]}, "/lines/0/quantity"),
    ({"lines": [{**LINE, "quantity": 2**31}]}, "/lines/0/quantity"),
    ({"lines": [{**LINE, "quantity": "1"}]}, "/lines/0/quantity"),
    ({"lines": [LINE, {**LINE, "amount_minor": 10**12 + 1}]}, "/lines/1/amount_minor"),
    ({"lines": [{**LINE, "amount_minor": -1}]}, "/lines/0/amount_minor"),
    ({"lines": [{**LINE, "product": ""}]}, "/lines/0/product"),
    ({"lines": [{**LINE, "colour": "red"}]}, "/lines/0/colour"),
    ({"occurred_at": "2026-03-01"}, "/occurred_at"),
    ({"occurred_at": 1770000000}, "/occurred_at"),
    ({"chain": []}, "/chain"),
    ({"organization": "acme"}, "/organization"),
]


async def test_an_order_that_breaks_a_rule_is_refused_and_says_where(campaigns: Served, shop: Client) -> None:
    for changes, pointer in BROKEN:
        answer = await shop.post(PURCHASES, {**ORDER, **changes})
        assert reason(answer) == (422, "invalid-request"), changes
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    wrong = await shop.post(PURCHASES, {**ORDER, "currency": "EUR"})
    assert reason(wrong) == (422, "currency-mismatch")
    assert wrong.json()["currency"] == "CNY"
    assert reason(await shop.post(PURCHASES, {**ORDER, "commissionable_minor": 59_901})) == (
        422,
        "commissionable-above-paid",
    )
    nul = await shop.post(PURCHASES, {**ORDER, "order_id": "a\0b"})
    assert reason(nul) == (400, "nul-character")
    assert await stored(campaigns) == []


async def test_a_refund_that_breaks_a_rule_is_refused_and_says_where(campaigns: Served, shop: Client) -> None:
    path = f"{await bought(shop)}/refunds"
    refund = {"refund_id": "r-1", "amount_minor": 1}
    for changes, pointer in (
        ({"amount_minor": 0}, "/amount_minor"),
        ({"amount_minor": -1}, "/amount_minor"),
        ({"amount_minor": 10**12 + 1}, "/amount_minor"),
        ({"amount_minor": 2**70}, "/amount_minor"),
        ({"amount_minor": "1"}, "/amount_minor"),
        ({"refund_id": ""}, "/refund_id"),
        ({"refund_id": "x" * 65}, "/refund_id"),
        ({"currency": "CNY"}, "/currency"),
    ):
        answer = await shop.post(path, {**refund, **changes})
        assert reason(answer) == (422, "invalid-request"), changes
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert reason(await shop.post(f"{MISSING}/refunds", refund)) == (404, "purchase-not-found")
    assert reason(await shop.post(f"{PURCHASES}/o-1/refunds", refund)) == (422, "invalid-request")
    assert await stored(campaigns) == ["purchase-recorded.v1"]


async def test_amounts_are_kept_to_the_last_unit(shop: Client) -> None:
    path = await bought(shop, paid_minor=10**12, commissionable_minor=10**12 - 1)
    answer = await shop.post(f"{path}/refunds", {"refund_id": "r-1", "amount_minor": 1})
    assert answer.status_code == 201
    read = (await shop.get(path)).json()
    assert (read["paid_minor"], read["commissionable_minor"]) == (10**12, 10**12 - 1)
    assert read["net_commissionable_minor"] == 10**12 - 2


async def test_writing_needs_a_key(shop: Client) -> None:
    for path in (PURCHASES, f"{MISSING}/refunds"):
        answer = await shop.http.post(path, json=ORDER, headers=shop.headers)
        assert reason(answer) == (400, "idempotency-key-missing")


async def test_the_documents_are_true(campaigns: Served) -> None:
    await check_documents(campaigns, TYPES)
