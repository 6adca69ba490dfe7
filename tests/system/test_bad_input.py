"""Bad input gets a problem that says what is wrong, the right status, and leaves nothing behind; on every operation with a body."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.system import System
from tests.system.callers import Callers, ruleset_from_tomorrow

pytestmark = pytest.mark.postgres

GOOD: dict[str, dict[str, Any]] = {
    "foundCommunity": {"name": "x", "affinity": "y", "zone": "Asia/Shanghai", "currency": "CNY", "capacity": 10},
    "joinCommunity": {"occurred_at": "2026-01-01T00:00:00Z"},
    "publishPost": {"body": "x", "title": "t"},
    "editPost": {"body": "x"},
    "transferOwnership": {"to": "ben"},
    "grantRole": {"role": "admin"},
    "createInvitation": {"max_uses": 3, "expires_at": "2099-01-01T00:00:00Z"},
    "addComment": {"body": "x"},
    "reactToPost": {"kind": "like"},
    "reactToComment": {"kind": "like"},
    "shareContent": {"target_kind": "product", "target": "sku", "channel": "weibo"},
    "recordPurchase": {
        "community": "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10",
        "order_id": "A-9",
        "buyer": "ben",
        "paid_minor": 1,
        "currency": "CNY",
    },
    "refundPurchase": {"refund_id": "R-9", "amount_minor": 1},
    "publishRuleset": ruleset_from_tomorrow(),
}
TEXT_FIELD = {
    "foundCommunity": "name",
    "joinCommunity": "occurred_at",
    "publishPost": "body",
    "editPost": "body",
    "transferOwnership": "to",
    "grantRole": "role",
    "createInvitation": "expires_at",
    "addComment": "body",
    "reactToPost": "kind",
    "reactToComment": "kind",
    "shareContent": "channel",
    "recordPurchase": "order_id",
    "refundPurchase": "refund_id",
    "publishRuleset": "valid_from",
}

OPTIONAL = {"joinCommunity", "createInvitation"}
"""Operations whose text field may be left out."""

SCOPES = "import purchases:write rules:write"

RAW = {
    "malformed": (b'{"a": ', 400),
    "not JSON at all": (b"hello", 400),
    "not a number": (b'{"a": NaN}', 400),
    "infinite": (b'{"a": -Infinity}', 400),
    "a lone surrogate": (b'{"a": "\\ud800"}', 400),
    "NUL": (b'{"a": "\\u0000"}', 400),
    "not UTF-8": (b'{"a": "\xff"}', 400),
    "too deep": (b"[" * 20_000 + b"]" * 20_000, 400),
    "an array": (b"[]", 422),
    "oversized": (b'{"body": "' + b"x" * 300_000 + b'"}', 413),
}


def with_bodies(callers: Callers) -> list[tuple[str, str, dict[str, Any]]]:
    found = [one for one in callers.operations() if "requestBody" in one[2]]
    assert {operation["operationId"] for _, _, operation in found} == set(GOOD)
    return found


def send(callers: Callers, method: str, path: str, body: bytes, **headers: str) -> Any:
    # For joins an import states the time; it may do everything else as well.
    sent = {"Content-Type": "application/json", "If-Match": '"1"', "Acting-Person": "ben", **headers}
    return callers.send(method, path.format(**callers.place), "importer", scope=SCOPES, content=body, headers=sent)


def expect_problem(answer: Any, status: int, context: object) -> None:
    assert answer.status_code == status, (context, answer.status_code, answer.text[:500])
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"].startswith("/problems/")
    assert len(problem["detail"]) > 10
    assert problem["instance"]


@pytest.fixture
def unchanged(system: System, callers: Callers) -> Any:
    """After the test no fact, key or row more than before."""
    assert callers.place

    def facts() -> dict[str, int]:
        counts = asyncio.run(system.row_counts())
        return {
            table: rows
            for table, rows in counts.items()
            if table.split(".")[1] in {"events", "idempotency_keys", "journal"}
        }

    before = facts()
    yield
    assert facts() == before


@pytest.mark.parametrize("name", RAW)
def test_a_body_that_is(name: str, callers: Callers, unchanged: None) -> None:
    body, status = RAW[name]
    for method, path, operation in with_bodies(callers):
        expect_problem(send(callers, method, path, body), status, (operation["operationId"], name))


def test_an_unknown_field_a_wrong_type_and_a_huge_number(callers: Callers, unchanged: None) -> None:
    for method, path, operation in with_bodies(callers):
        good, field = GOOD[operation["operationId"]], TEXT_FIELD[operation["operationId"]]
        values: list[Any] = [5, None, ["x"], {}, True]
        wrong: list[dict[str, Any]] = [{"surprise": 1}, *({field: value} for value in values)]
        for changed in wrong:
            if operation["operationId"] in OPTIONAL and changed == {field: None}:
                continue  # the same as not stating it
            answer = send(callers, method, path, json.dumps({**good, **changed}).encode())
            expect_problem(answer, 422, (operation["operationId"], changed))
            assert answer.json()["errors"][0]["pointer"].startswith("/")
    for amount in (2**70, -1, 10**12 + 1, 1.5, "10", True):
        body = json.dumps({**GOOD["recordPurchase"], "paid_minor": amount}).encode()
        expect_problem(send(callers, "POST", "/campaigns/v1/purchases", body), 422, amount)
    for capacity in (2**70, -1, 0, 1.5, "10", True):
        body = json.dumps({**GOOD["foundCommunity"], "capacity": capacity}).encode()
        expect_problem(send(callers, "POST", "/membership/v1/communities", body), 422, capacity)


def test_a_time_in_the_future_or_stated_by_somebody_who_may_not(callers: Callers, unchanged: None) -> None:
    community = callers.place["community"]
    future = json.dumps({"body": "x", "occurred_at": "2999-01-01T00:00:00Z"}).encode()
    answer = send(callers, "POST", f"/content/v1/communities/{community}/posts", future)
    expect_problem(answer, 422, "future")
    stated = {"body": "x", "occurred_at": "2020-01-01T00:00:00Z"}
    answer = callers.send("POST", f"/content/v1/communities/{community}/posts", "ben", json=stated)
    expect_problem(answer, 403, "stated by a person")


def test_headers_that_are_missing_or_malformed(callers: Callers, unchanged: None) -> None:
    place = callers.place
    posts, post = f"/content/v1/communities/{place['community']}/posts", f"/content/v1/posts/{place['post']}"
    token = {"Authorization": f"Bearer {callers.token('ben')}"}
    body = {"body": "x"}
    http = callers.http
    expect_problem(http.post(posts, json=body, headers=token), 400, "no key")
    expect_problem(http.post(posts, json=body, headers={**token, "Idempotency-Key": "x" * 256}), 400, "long key")
    expect_problem(http.patch(post, json=body, headers=token), 428, "no If-Match")
    expect_problem(http.patch(post, json=body, headers={**token, "If-Match": "1"}), 400, "not an ETag")
    expect_problem(http.patch(post, json=body, headers={**token, "If-Match": '"7"'}), 412, "stale")
    expect_problem(http.delete(post, headers=token), 428, "no If-Match")
    expect_problem(
        http.post(posts, content=b"x", headers={**token, "Idempotency-Key": "k", "Content-Type": "text/plain"}),
        415,
        "text",
    )
    expect_problem(http.get(posts, headers={**token, "Consistency-Token": "nonsense"}), 400, "token")
    expect_problem(http.get(posts, params={"after": "nonsense"}, headers=token), 400, "cursor")
    expect_problem(http.get(posts, params={"limit": "0"}, headers=token), 422, "limit")
    expect_problem(http.get(f"{posts}%00", headers=token), 400, "NUL in the path")
    expect_problem(http.put(posts, json=body, headers=token), 405, "method")
    expect_problem(http.get("/content/v1/nowhere", headers=token), 404, "path")


def test_the_same_request_many_times_at_once_is_carried_out_once(callers: Callers) -> None:
    path = f"/content/v1/communities/{callers.place['community']}/posts"
    callers.token("ben")
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(
                lambda _: callers.send("POST", path, "ben", json={"body": "once"}, headers={"Idempotency-Key": "once"}),
                range(16),
            )
        )
    created = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({(answer.content, answer.headers["consistency-token"]) for answer in created}) == 1
    feed = callers.send("GET", path, "ben", params={"limit": "100"}).json()["items"]
    assert [post["body"] for post in feed].count("once") == 1
    replayed = callers.send("POST", path, "ben", json={"body": "other"}, headers={"Idempotency-Key": "once"})
    expect_problem(replayed, 422, "another body under the same key")
