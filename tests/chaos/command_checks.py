"""What became of the commands that clients were told of: nothing is lost, done twice, credited wrongly, or unseen."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from shared.position import parse_tokens
from tests.chaos.history import Evidence, History, Stored

_MARKERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "member-joined.v1": lambda data: str((data["touchpoint"] or {}).get("channel")),
    "post-published.v1": lambda data: str(data["draft"]["body"]),
    "post-removed.v1": lambda data: str(data["post"]),
    "comment-added.v1": lambda data: str(data["body"]),
    "reaction-added.v1": lambda data: f"{data['person']} {data['kind']} {data['target']}",
    "content-shared.v1": lambda data: str(data["channel"]),
    "purchase-recorded.v1": lambda data: str(data["order"]["order_id"]),
    "purchase-refunded.v1": lambda data: str(data["refund_id"]),
    # What nobody asks for over HTTP, and may happen once all the same.
    "purchase-attributed.v1": lambda data: str(data["purchase"]),
    "referral-bound.v1": lambda data: str(data["person"]),
    "referrer-taken.v1": lambda data: str(data["person"]),
}
_IDS = {
    "post-published.v1": "post",
    "comment-added.v1": "comment",
    "reaction-added.v1": "reaction",
    "content-shared.v1": "share",
    "purchase-recorded.v1": "purchase",
    "purchase-refunded.v1": "refund",
}


def marker_of(fact: Stored) -> str | None:
    """What tells this fact from all others of its type, given by the client where one asked for it."""
    marker = _MARKERS.get(fact.type)
    return marker(fact.data) if marker else None


def lost(history: History, evidence: Evidence) -> list[str]:
    """Everything acknowledged is stored, under the id that was answered and at the positions of its tokens."""
    stored = {(fact.type, marker): fact for fact in evidence.stored if (marker := marker_of(fact)) is not None}
    places = {(fact.service, fact.partition, fact.position) for fact in evidence.stored}
    found = []
    for act in history.acknowledged:
        fact = stored.get((act.type, act.marker))
        if fact is None:
            found.append(f"lost: {act.type} {act.marker} was acknowledged and is not stored")
        elif act.id and fact.data[_IDS[act.type]] != act.id:
            found.append(f"lost: {act.type} {act.marker} was acknowledged as {act.id}, stored as another")
        for token in parse_tokens(act.token) if act.token else ():
            if token not in places:
                found.append(f"lost: no fact at {token}, a token of {act.type} {act.marker}")
    return found


def applied_twice(_: History, evidence: Evidence) -> list[str]:
    """No command made two facts, however often it was sent."""
    times = Counter((fact.type, marker) for fact in evidence.stored if (marker := marker_of(fact)) is not None)
    ids = Counter(fact.id for fact in evidence.stored)
    found = [f"twice: {kind} {marker} is stored {n} times" for (kind, marker), n in times.items() if n > 1]
    return found + [f"twice: event id {name} is stored {n} times" for name, n in ids.items() if n > 1]


def keys_apart_from_facts(history: History, evidence: Evidence) -> list[str]:
    """Each acknowledged key is kept once, with the answer's token; key and fact came in one transaction, or neither."""
    kept = defaultdict(list)
    for row in evidence.kept:
        kept[row.key].append(row)
    found = []
    for act in history.acknowledged:
        if act.key is None:
            continue
        rows = kept[act.key]
        if len(rows) != 1:
            found.append(f"keys: {act.key} of {act.type} {act.marker} is kept {len(rows)} times")
        elif rows[0].token != act.token:
            found.append(f"keys: {act.key} is kept with {rows[0].token}, answered with {act.token}")
    places = {(fact.service, fact.partition, fact.position) for fact in evidence.stored}
    for row in evidence.kept:
        for token in parse_tokens(row.token) if row.token else ():
            if token not in places:
                found.append(f"keys: {row.key} is kept without its fact at {token}")
    return found


def wrong_referrals(history: History, evidence: Evidence) -> list[str]:
    """Who joined through somebody known is bound to that one for good; a purchase is credited along the bindings."""
    bound = {
        fact.data["person"]: fact.data["referrer"]
        for fact in evidence.stored
        if fact.type in ("referrer-taken.v1", "referral-bound.v1")
    }
    chains = {
        fact.data["purchase"]: tuple(link["person"] for link in fact.data["chain"])
        for fact in evidence.stored
        if fact.type == "purchase-attributed.v1"
    }
    found = []
    for act in history.acknowledged:
        if act.chain is None:
            continue
        if act.type == "member-joined.v1":
            stands = (bound[act.person],) if act.person in bound else ()
        else:
            stands = chains.get(act.id, ("nobody, not yet",))
        if stands != act.chain:
            found.append(f"referrals: {act.type} {act.marker} is credited to {stands}, not to {act.chain}")
    return found


def unseen_writes(history: History, _: Evidence) -> list[str]:
    """A read that carries the token of a write shows it."""
    return [f"unseen: {read.where} did not show {read.marker}" for read in history.readings if not read.seen]
