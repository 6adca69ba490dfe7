"""Callers of a running system, over real HTTP."""

import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import httpx

FOUNDING = {"name": "Early risers", "affinity": "We run before work.", "zone": "Asia/Shanghai", "currency": "CNY"}
SERVICES = ("membership", "content", "campaigns", "scoring")


def ruleset_from_tomorrow(**other: Any) -> dict[str, Any]:
    """A version that prices nothing yet."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    return {"valid_from": tomorrow, "acts": [], "commission": {"levels": [], "hold_days": 0}, **other}


@dataclass
class Callers:
    """Sends requests as whomever a test names; every POST gets a fresh Idempotency-Key unless one is given."""

    http: httpx.Client
    _tokens: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def token(self, sub: str, org: str = "acme", scope: str = "") -> str:
        if (sub, org, scope) not in self._tokens:
            answer = self.http.post("/dev/tokens", json={"sub": sub, "org": org, "scope": scope})
            self._tokens[sub, org, scope] = answer.json()["access_token"]
        return self._tokens[sub, org, scope]

    def send(
        self,
        method: str,
        path: str,
        sub: str,
        *,
        org: str = "acme",
        scope: str = "",
        token: str | None = None,
        **sent: Any,
    ) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {token or self.token(sub, org, scope)}",
            **({"Idempotency-Key": str(uuid.uuid4())} if method == "POST" else {}),
            **sent.pop("headers", {}),
        }
        return self.http.request(method, path, headers=headers, **sent)

    @cached_property
    def place(self) -> dict[str, str]:
        """A launched community of ana's with a post, a comment, an invitation, a share and a purchase of ben's: the values
        of every path parameter there is."""
        founded = self.send("POST", "/membership/v1/communities", "ana", json=FOUNDING)
        community = founded.json()["id"]
        launched = self.send("POST", f"/membership/v1/communities/{community}/launch", "ana")
        joined = self.send("POST", f"/membership/v1/communities/{community}/members", "ben")
        tokens = ",".join(answer.headers["consistency-token"] for answer in (founded, launched, joined))
        post = self.send(
            "POST",
            f"/content/v1/communities/{community}/posts",
            "ben",
            json={"body": "Good morning"},
            headers={"Consistency-Token": tokens},
        )
        assert post.status_code == 201, post.text
        comment = self.send(
            "POST", f"/content/v1/posts/{post.json()['id']}/comments", "ben", json={"body": "Who else?"}
        )
        sharing = {"target_kind": "community", "target": community, "channel": "weibo"}
        share = self.send("POST", f"/content/v1/communities/{community}/shares", "ben", json=sharing)
        invitation = self.send("POST", f"/membership/v1/communities/{community}/invitations", "ben", json={})
        buying = {"community": community, "order_id": "A-1", "buyer": "ben", "paid_minor": 10_000, "currency": "CNY"}
        purchase = self.send(
            "POST",
            "/campaigns/v1/purchases",
            "shop",
            scope="purchases:write",
            json=buying,
            headers={"Consistency-Token": tokens},
        )
        ruleset = self.send("POST", "/scoring/v1/rulesets", "desk", scope="rules:write", json=ruleset_from_tomorrow())
        self._until_attributed(purchase.json()["id"])
        event = self._first_event(post.headers["consistency-token"])
        return {
            "community": community,
            "post": post.json()["id"],
            "comment": comment.json()["id"],
            "kind": "like",
            "code": share.json()["code"],
            "invitation": invitation.json()["code"],
            "role": "admin",
            "purchase": purchase.json()["id"],
            "ruleset": str(ruleset.json()["ruleset"]),
            "person": "ben",
            "metric": "activity",
            "event_id": event,
            "lane": "0",
            "key": "ben",
        }

    def _until_attributed(self, purchase: str) -> None:
        """So that nothing goes on in the background any more."""
        deadline = time.monotonic() + 30
        path = f"/campaigns/v1/purchases/{purchase}"
        while self.send("GET", path, "shop", scope="purchases:write").json()["attribution"] == "pending":
            assert time.monotonic() < deadline, "the purchase is not attributed"
            time.sleep(0.1)

    def _first_event(self, token: str) -> str:
        entries = self.send("GET", "/scoring/v1/people/me/entries", "ben", headers={"Consistency-Token": token})
        assert entries.status_code == 200, entries.text
        event: str = entries.json()["items"][0]["event_id"]
        return event

    def operations(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Every operation of every service: (method, path with the service's prefix, its OpenAPI description)."""
        return [
            (method.upper(), f"/{service}{path}", operation)
            for service in SERVICES
            for path, methods in self.http.get(f"/{service}/openapi.json").json()["paths"].items()
            if path.startswith("/v1/")
            for method, operation in methods.items()
        ]
