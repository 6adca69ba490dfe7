"""No operation of any service shows or changes anything of another organization, or answers without a valid token."""

import time
from typing import Any

import jwt
import pytest

from tests.support.system import System
from tests.system.callers import Callers, ruleset_from_tomorrow

pytestmark = pytest.mark.postgres

OWN_LISTS = {
    "listCommunities",
    "foundCommunity",
    "readDefaultRuleset",
    "listRulesets",
    "readRulesetInForce",
    "listPurchases",
}
"""Operations that name nothing of another organization's: they answer with the caller's own, or with what all share."""

OPERATING = {"listParkedKeys", "replayParkedKey", "readFact"}
"""Operations for those who run the system, whose data belong to no organization; every service has them."""

BODIES: dict[str, Any] = {
    "foundCommunity": {"name": "x", "affinity": "y", "zone": "UTC", "currency": "CNY"},
    "joinCommunity": {},
    "publishPost": {"body": "From elsewhere"},
    "editPost": {"body": "From elsewhere"},
    "transferOwnership": {"to": "ben"},
    "grantRole": {"role": "admin"},
    "createInvitation": {},
    "addComment": {"body": "From elsewhere"},
    "refundPurchase": {"refund_id": "R-1", "amount_minor": 1},
    "reactToPost": {"kind": "like"},
    "reactToComment": {"kind": "like"},
    "shareContent": {"target_kind": "product", "target": "sku", "channel": "elsewhere"},
}
MONEY_AND_RULES = (("shop", "purchases:write"), ("desk", "rules:write"))
PEOPLE = {
    "getReferral",
    "readPoints",
    "listEntries",
    "readActivity",
    "readCommission",
    "listCommissionEntries",
    "listUnrewarded",
}


def request_of(callers: Callers, method: str, path: str, operation: dict[str, Any]) -> dict[str, Any]:
    """What a correct request of this operation consists of, but for the caller."""
    names = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"]
    required = {
        parameter["name"]: callers.place[parameter["name"]]
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query" and parameter.get("required")
    }
    assert set(required) <= set(names)
    body = BODIES.get(operation["operationId"])
    if operation["operationId"] == "recordPurchase":
        body = {
            "community": callers.place["community"],
            "order_id": "A-2",
            "buyer": "ben",
            "paid_minor": 1,
            "currency": "CNY",
        }
    elif operation["operationId"] == "publishRuleset":
        body = ruleset_from_tomorrow(community=callers.place["community"])
    assert body is not None or "requestBody" not in operation, f"say what {operation['operationId']} is sent"
    return {
        "method": method,
        "path": path.format(**callers.place),
        "params": required,
        "headers": {"If-Match": '"1"'} if method in {"PATCH", "DELETE", "PUT"} else {},
        **({"json": body} if body is not None else {}),
    }


def test_every_operation_is_refused_to_another_organization(callers: Callers) -> None:
    operations = callers.operations()
    assert len(operations) >= 50
    for method, path, operation in operations:
        if operation["operationId"] in OWN_LISTS | OPERATING:
            continue
        request = request_of(callers, method, path, operation)
        answered: set[int] = set()
        machines = (("machine", "import"), ("machine", "scores:read"), ("pager", "operate"), *MONEY_AND_RULES)
        for sub, scope in (("ben", ""), *machines):
            headers = {**request["headers"], **({"Acting-Person": "ben"} if scope == "import" else {})}
            answer = callers.send(**{**request, "headers": headers}, sub=sub, org="globex", scope=scope)
            allowed = {404}
            if operation["operationId"] in PEOPLE:
                # The same name in another organization is another person, who has nothing yet.
                allowed |= {200}
                if answer.status_code == 200:
                    assert answer.json().get("balance", 0) == 0
                    assert answer.json().get("items", []) == []
            if scope or (answer.status_code == 403 and answer.json()["type"] == "/problems/scope-missing"):
                allowed |= {403}  # a machine that may not do this at all learns nothing either
            assert answer.status_code in allowed, (operation["operationId"], scope, answer.text)
            answered.add(answer.status_code)
        assert answered & {200, 404}, f"nobody was asked who might have got something of {operation['operationId']}"


def test_what_operators_see_and_do_needs_their_scope(callers: Callers) -> None:
    operations = [one for one in callers.operations() if one[2]["operationId"] in OPERATING]
    answered: dict[str, list[int]] = {}
    for method, path, operation in operations:
        request = request_of(callers, method, path, operation)
        for sub, scope in (("ana", ""), ("ben", ""), ("machine", "import scores:read"), *MONEY_AND_RULES):
            answer = callers.send(**request, sub=sub, scope=scope)
            assert (answer.status_code, answer.json()["type"]) == (403, "/problems/scope-missing"), answer.text
        answer = callers.send(**request, sub="pager", org="those-who-run-it", scope="operate")
        answered.setdefault(operation["operationId"], []).append(answer.status_code)
    # A fact is of one service.
    assert {id: sorted(statuses) for id, statuses in answered.items()} == {
        "listParkedKeys": [200] * 4,
        "replayParkedKey": [200] * 4,
        "readFact": [200, 404, 404, 404],
    }


def test_the_lists_of_another_organization_hold_nothing_of_ours(callers: Callers) -> None:
    assert callers.place
    assert callers.send("GET", "/membership/v1/communities", "zoe", org="globex").json()["items"] == []


def test_after_all_that_nothing_has_changed(callers: Callers) -> None:
    post = callers.send("GET", f"/content/v1/posts/{callers.place['post']}", "ben").json()
    assert (post["body"], post["version"]) == ("Good morning", 1)


def _spoilt(callers: Callers, system: System) -> dict[str, str]:
    """Tokens that must not open anything: name -> token."""
    key = (system.state / "issuer.pem").read_bytes()
    good = jwt.decode(callers.token("ben"), options={"verify_signature": False})
    head = {"kid": jwt.get_unverified_header(callers.token("ben"))["kid"], "typ": "at+jwt"}
    now = int(time.time())

    def signed(**changes: Any) -> str:
        claims = {name: value for name, value in {**good, **changes}.items() if value is not None}
        return jwt.encode(claims, key, algorithm="EdDSA", headers=head)

    return {
        "expired": signed(exp=now - 3600, iat=now - 7200),
        "for somebody else": signed(aud="another-service"),
        "by somebody else": signed(iss="https://evil.example"),
        "not yet": signed(nbf=now + 3600),
        "without an expiry": signed(exp=None),
        "without an organization": signed(org=None),
        "unsigned": jwt.encode(good, "", algorithm="none", headers=head),
        "signed with a shared secret": jwt.encode(good, "x" * 32, algorithm="HS256", headers=head),
        "cut short": callers.token("ben")[:-4],
        "nonsense": "nonsense",
    }


@pytest.mark.parametrize(
    "name",
    [
        "expired",
        "for somebody else",
        "by somebody else",
        "not yet",
        "without an expiry",
        "without an organization",
        "unsigned",
        "signed with a shared secret",
        "cut short",
        "nonsense",
    ],
)
def test_no_operation_answers_to_a_token_that_is(name: str, callers: Callers, system: System) -> None:
    token = _spoilt(callers, system)[name]
    for method, path, operation in callers.operations():
        answer = callers.send(**request_of(callers, method, path, operation), sub="ben", token=token)
        assert answer.status_code == 401, (operation["operationId"], answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_no_operation_answers_without_a_token(callers: Callers) -> None:
    for method, path, operation in callers.operations():
        request = request_of(callers, method, path, operation)
        answer = callers.http.request(request["method"], request["path"], headers={"Idempotency-Key": "k"})
        assert answer.status_code == 401, operation["operationId"]
