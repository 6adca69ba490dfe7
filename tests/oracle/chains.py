"""Who stands in the referral chain of a purchase, from the complete history, however it was delivered."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from tests.oracle.oracle import Fact

MARGIN = timedelta(seconds=2)
CODE_AGE = timedelta(days=30)


def chain(purchase: Fact, history: Iterable[Fact]) -> list[dict[str, Any]]:
    """The referral chain of a purchase, from all joins, settlements and shares there ever were, also later ones."""
    known_until = purchase["recorded_at"] + MARGIN
    facts = [fact for fact in history if fact["organization"] == purchase["organization"]]
    buyer = purchase["buyer"]
    sharer = next((fact["sharer"] for fact in facts if opens(fact, purchase, known_until)), None)
    first = sharer or referrer(buyer, facts, known_until)
    if first is None or first == buyer:
        return []
    links = [{"level": 1, "person": first, "by": "share_code" if sharer else "binding"}]
    second = referrer(first, facts, known_until)
    if second is not None and second not in (buyer, first):
        links.append({"level": 2, "person": second, "by": "binding"})
    return links


def opens(fact: Fact, purchase: Fact, known_until: datetime) -> bool:
    """Whether a fact is the share whose code the purchase carries, and the code counts."""
    return bool(
        fact["type"] == "content.content-shared.v1"
        and fact["code"] == purchase["share_code"]
        and fact["sharer"] != purchase["buyer"]
        and fact["recorded_at"] <= known_until
        and timedelta(0) <= purchase["occurred_at"] - fact["occurred_at"] <= CODE_AGE
    )


def referrer(person: str, facts: Iterable[Fact], known_until: datetime) -> str | None:
    """Whom the person is bound to, as known at that time; a settled join counts from when it was recorded."""
    bound = {
        fact.get("joined_recorded_at", fact["recorded_at"]): fact["referrer"]
        for fact in facts
        if fact.get("person") == person
        and (fact["type"] == "membership.referral-bound.v1" or fact.get("referral") == "bound")
    }
    known = [since for since in bound if since <= known_until]
    return bound[min(known)] if known else None
