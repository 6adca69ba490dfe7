"""Shares as their callers see them."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from services.content.usecases import shares
from shared.codes import ALPHABET
from tests.content.calls import items, messages, published, reason, stored
from tests.content.conftest import Hear
from tests.content.facts import RUNNERS
from tests.content.heard import joined, of_community
from tests.support.qr import read_png, read_svg
from tests.support.serving import Client, Served

SHARES = f"/v1/communities/{RUNNERS}/shares"
PRODUCT: dict[str, Any] = {"target_kind": "product", "target": "sku 4711", "channel": "weibo"}
MISSING = "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6aff"


async def shared(sharer: Client, **changes: Any) -> dict[str, Any]:
    answer = await sharer.post(SHARES, {**PRODUCT, **changes})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def opened(visitor: Client, code: str) -> None:
    assert (await visitor.get(f"/s/{code}")).status_code == 200  # the community has no landing page


async def test_a_member_shares_and_members_read(runners: Served) -> None:
    bo, cy = runners.person("bo"), runners.person("cy")
    post = await published(bo)
    answer = await cy.post(SHARES, {"target_kind": "post", "target": post.rsplit("/", 1)[1], "channel": " weibo "})
    assert answer.status_code == 201
    body = answer.json()
    code = body["code"]
    assert len(code) == 8 and set(code) <= set(ALPHABET)
    assert {name: body[name] for name in ("link", "community", "sharer", "target_kind", "channel", "parent")} == {
        "link": f"http://test/s/{code}",
        "community": RUNNERS,
        "sharer": "cy",
        "target_kind": "post",
        "channel": "weibo",
        "parent": None,
    }
    assert (body["visits"], body["children"]) == (0, 0)
    assert answer.headers["location"] == f"/content/v1/shares/{code}"
    for typed in (code, code.lower(), f"{code[:4]}-{code[4:]}", code.replace("1", "l").replace("0", "o")):
        assert (await bo.get(f"/v1/shares/{typed}")).content == answer.content
    assert reason(await bo.get("/v1/shares/nothing")) == (404, "share-not-found")
    (sent,) = [data for type_name, data in await messages(runners) if type_name == "content.content-shared.v1"]
    assert (sent["code"], sent["sharer"], sent["parent"], sent["channel"]) == (code, "cy", None, "weibo")


async def test_what_is_shared_stands_in_the_community(runners: Served, hear: Hear) -> None:
    ana, bo = runners.person("ana"), runners.person("bo")
    await hear(of_community("community-launched", community=MISSING), joined("bo", community=MISSING))
    elsewhere = (await bo.post(f"/v1/communities/{MISSING}/posts", {"body": "!"})).json()["id"]
    for kind, target in (("post", elsewhere), ("post", MISSING), ("post", "x"), ("community", MISSING)):
        answer = await bo.post(SHARES, {**PRODUCT, "target_kind": kind, "target": target})
        assert reason(answer) == (422, "target-not-found"), (kind, target)
    assert (await shared(bo, target_kind="community", target=RUNNERS))["target"] == RUNNERS
    post = await published(bo)
    await ana.post(f"{post}/hide")
    answer = await bo.post(SHARES, {**PRODUCT, "target_kind": "post", "target": post.rsplit("/", 1)[1]})
    assert reason(answer) == (409, "post-hidden")


async def test_shares_hang_below_the_one_that_is_named(runners: Served, hear: Hear) -> None:
    ana, bo, cy = runners.person("ana"), runners.person("bo"), runners.person("cy")
    top = await shared(ana)
    below = [await shared(bo, parent=top["code"].lower()), await shared(cy, parent=top["code"])]
    deeper = await shared(cy, parent=below[0]["code"])
    assert [share["parent"] for share in (*below, deeper)] == [top["code"], top["code"], below[0]["code"]]
    path = f"/v1/shares/{top['code']}"
    assert (await ana.get(path)).json()["children"] == 2
    children = await items(ana, f"{path}/children?limit=1")
    assert [(child["code"], child["children"]) for child in children] == [
        (below[0]["code"], 1),
        (below[1]["code"], 0),
    ]
    assert await items(ana, f"/v1/shares/{deeper['code']}/children") == []
    assert reason(await bo.post(SHARES, {**PRODUCT, "parent": below[0]["code"]})) == (422, "parent-is-own")
    for nothing in ("00000000", "x", "U" * 8):
        assert reason(await bo.post(SHARES, {**PRODUCT, "parent": nothing})) == (422, "parent-not-found")


async def test_a_share_of_another_organization_is_no_parent(runners: Served, hear: Hear) -> None:
    await hear(
        of_community("community-launched", community=MISSING, organization="umbrella"),
        joined("bo", community=MISSING, organization="umbrella"),
    )
    other = runners.person("bo", organization="umbrella")
    foreign = (await other.post(f"/v1/communities/{MISSING}/shares", PRODUCT)).json()["code"]
    assert reason(await runners.person("cy").post(SHARES, {**PRODUCT, "parent": foreign})) == (422, "parent-not-found")


async def test_without_a_name_the_last_visit_says_the_parent(runners: Served) -> None:
    ana, bo, cy = runners.person("ana"), runners.person("bo"), runners.person("cy")
    first, second = (await shared(ana))["code"], (await shared(bo))["code"]
    assert (await shared(cy))["parent"] is None
    await opened(cy, first)
    assert (await shared(cy))["parent"] == first
    await opened(cy, second)
    own = await shared(cy)
    assert own["parent"] == second
    await opened(cy, own["code"])  # does not count
    await opened(cy, first)  # a repeat: no visit
    assert (await shared(cy))["parent"] == second
    assert (await shared(cy, parent=first))["parent"] == first


@pytest.mark.parametrize(("age", "found"), [(timedelta(days=29, hours=23), True), (timedelta(days=30, hours=1), False)])
async def test_a_visit_says_the_parent_for_thirty_days(runners: Served, age: timedelta, found: bool) -> None:
    code = (await shared(runners.person("ana")))["code"]
    await opened(runners.person("cy"), code)
    connection = await asyncpg.connect(runners.dsn)
    try:
        await connection.execute("update arrivals set occurred_at = occurred_at - $1::interval", age)
    finally:
        await connection.close()
    assert (await shared(runners.person("cy")))["parent"] == (code if found else None)


async def test_only_members_share_and_read(runners: Served) -> None:
    code = (await shared(runners.person("bo")))["code"]
    dan = runners.person("dan")
    assert reason(await dan.post(SHARES, PRODUCT)) == (403, "not-a-member")
    paths = [f"/v1/shares/{code}{end}" for end in ("", "/children", "/qr.svg", "/qr.png")]
    for path in paths:
        assert reason(await dan.get(path)) == (403, "not-a-member")
        assert reason(await runners.person("bo", organization="umbrella").get(path)) == (404, "share-not-found")
        assert reason(await runners.machine("scores:read").get(path)) == (403, "scope-missing")
        assert (await runners.machine("import").get(path)).status_code == 200
    assert reason(await runners.person("bo", organization="umbrella").post(SHARES, PRODUCT)) == (
        404,
        "community-not-found",
    )
    assert await stored(runners) == ["content-shared.v1"]


async def test_the_qr_codes_lead_where_the_short_link_does(runners: Served) -> None:
    bo = runners.person("bo")
    share = await shared(bo)
    path = f"/v1/shares/{share['code']}"
    svg, png = (
        await bo.get(f"{path}/qr.svg", Accept="image/svg+xml"),
        await bo.get(f"{path}/qr.png", Accept="image/png"),
    )
    assert (svg.headers["content-type"], png.headers["content-type"]) == ("image/svg+xml", "image/png")
    assert read_svg(svg.content) == read_png(png.content) == share["link"]


async def test_a_link_has_the_address_that_the_caller_used(runners: Served) -> None:
    bo = runners.person("bo")
    for host, scheme, site in (
        ("shop.example", "https", "https://shop.example"),
        ("shop.example:8443", "http", "http://shop.example:8443"),
        ("evil.example/x?", "https", "https://test"),
        ("shop.example", "javascript", "http://shop.example"),
    ):
        answer = await bo.post(SHARES, PRODUCT, Host=host, X_Forwarded_Proto=scheme)
        assert answer.json()["link"] == f"{site}/s/{answer.json()['code']}"


async def test_a_code_is_given_once(runners: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    bo = runners.person("bo")
    drawn = iter(["00000000", "00000000", "00000000", "11111111"])
    monkeypatch.setattr(shares, "new_code", lambda: next(drawn))
    codes = [share["code"] for share in [await shared(bo), await shared(runners.person("cy"))]]
    assert codes == ["00000000", "11111111"]
    monkeypatch.setattr(shares, "new_code", lambda: "00000000")
    assert reason(await bo.post(SHARES, PRODUCT)) == (503, "no-code-free")
    assert await stored(runners) == ["content-shared.v1"] * 2


async def test_a_repeat_has_the_same_code(runners: Served) -> None:
    bo = runners.person("bo")
    first = await bo.post(SHARES, PRODUCT, key="share-1")
    assert (await bo.post(SHARES, PRODUCT, key="share-1")).content == first.content
    parallel = await asyncio.gather(*(bo.post(SHARES, PRODUCT, key="share-2") for _ in range(10)))
    assert {answer.status_code for answer in parallel} <= {201, 409}
    assert await stored(runners) == ["content-shared.v1"] * 2


async def test_an_import_shares_for_a_person_and_states_when(runners: Served) -> None:
    stated = {**PRODUCT, "occurred_at": "2010-07-28T17:00:00Z"}
    answer = await runners.machine("import", acting="cy").post(SHARES, stated)
    assert (answer.status_code, answer.json()["sharer"], answer.json()["occurred_at"]) == (
        201,
        "cy",
        "2010-07-28T17:00:00.000000Z",
    )
    assert (await messages(runners))[0][1]["local_day"] == "2010-07-29"
    assert reason(await runners.person("cy").post(SHARES, stated)) == (403, "occurred-at-not-allowed")


async def test_a_share_that_breaks_a_rule_is_refused_and_says_where(runners: Served) -> None:
    for change, pointer in (
        ({"target_kind": "person"}, "/target_kind"),
        ({"target": " "}, "/target"),
        ({"target": "x" * 65}, "/target"),
        ({"channel": ""}, "/channel"),
        ({"channel": "x" * 41}, "/channel"),
        ({"code": "00000000"}, "/code"),
        ({"parent": 1}, "/parent"),
    ):
        answer = await runners.person("bo").post(SHARES, {**PRODUCT, **change})
        assert reason(answer) == (422, "invalid-request"), change
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await stored(runners) == []
