"""The checker is silent about a history as it must be, and complains about every way in which it must not be."""

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from shared.messaging.facts import InboundFact
from shared.position import START, Position, Token
from tests.chaos.checker import violations
from tests.chaos.history import Acknowledged, Evidence, History, Journaled, Kept, Reached, Reading, Stored
from tests.oracle.oracle import score
from tests.oracle.projected import plain
from tests.scoring.story import NOON, Story

Spoil = Callable[[History, Evidence], Any]

TYPES = {
    "membership.member-joined.v1",
    "content.post-published.v1",
    "content.comment-added.v1",
    "campaigns.purchase-recorded.v1",
    "campaigns.purchase-attributed.v1",
    "campaigns.purchase-refunded.v1",
}


def told() -> tuple[History, Evidence]:
    """Ana joins, Bo through her; she writes, he comments twice, buys, and gets half of it back."""
    story = Story(lanes=1)
    town = story.community()
    post = story.published("ana", town)
    bought = story.bought("bo", town, 1000)
    facts = [
        story.joined("ana", town, touchpoint={"channel": "join-1"}),
        story.joined("bo", town, touchpoint={"channel": "join-2"}),
        post,
        story.commented("bo", town, post="p", floor=1, body="comment-1"),
        story.commented("bo", town, post="p", floor=2, body="comment-2"),
        bought,
        story.attributed(bought, "ana"),
        story.refunded(bought, 500),
    ]
    last: dict[str, str] = {}
    for fact in facts:
        fact.previous, last[fact.topic] = last.get(fact.topic, str(START)), fact.position
    stored = [_stored(fact, f"{number}", 1) for number, fact in enumerate(facts)]
    stored[6:8] = [replace(stored[6], stream="5", version=2), replace(stored[7], stream="5", version=3)]
    history = History(
        [_acknowledged(fact, number) for number, fact in enumerate(stored) if fact.type != "purchase-attributed.v1"],
        [Reading("comment-1", "scoring", seen=True)],
    )
    bound = {"person": "bo", "referrer": "ana"}
    stored.append(
        replace(stored[1], stream="r", id="r", type="referrer-taken.v1", partition=None, data=bound, position=START)
    )
    return history, _evidence(history, stored, facts)


def _stored(fact: InboundFact, stream: str, version: int) -> Stored:
    service, _, kind = fact.type.partition(".")
    data = msgspec.json.decode(fact.value)
    data |= {"draft": {"body": "post-1"}, "order": {"order_id": data.get("order_id")}}
    place = Position.parse(fact.position)
    return Stored(service, stream, version, fact.event_id, kind, 0, place, NOON, NOON, data)


def _acknowledged(fact: Stored, number: int) -> Acknowledged:
    names = {
        "member-joined.v1": (fact.data.get("touchpoint") or {}).get("channel"),
        "post-published.v1": "post-1",
        "comment-added.v1": fact.data.get("body"),
        "purchase-recorded.v1": fact.data.get("order_id"),
        "purchase-refunded.v1": fact.data.get("refund_id"),
    }
    ids = {"post-published.v1": "post", "purchase-recorded.v1": "purchase"}
    made = fact.data[ids[fact.type]] if fact.type in ids else ""
    person = str(fact.data.get("person", ""))
    chains = {"purchase-recorded.v1": ("ana",), "member-joined.v1": ("ana",) if person == "bo" else ()}
    token = str(Token(fact.service, 0, fact.position))
    return Acknowledged(
        fact.type, str(names[fact.type]), person, made, f"key-{number}", token, 1, chains.get(fact.type)
    )


def _evidence(history: History, stored: list[Stored], facts: list[InboundFact]) -> Evidence:
    topics = ("membership.events", "content.events", "campaigns.events")
    logged = {topic: [fact for fact in facts if fact.topic == topic] for topic in topics}
    ends = [Reached("scoring", topic, 0, Position.parse(logged[topic][-1].position)) for topic in topics]
    return Evidence(
        stored=stored,
        logged=logged,
        kept=[Kept(act.token.split(".")[0], str(act.key), 201, act.token) for act in history.acknowledged],
        reached=ends,
        journal=[Journaled(0, seq, fact.event_id) for seq, fact in enumerate(facts, start=1)],
        journaled_types=frozenset(TYPES),
        parked=[],
        began=NOON - timedelta(minutes=1),
        ended=NOON + timedelta(minutes=1),
        sums={"standings": ([("acme", "ana", 10)], [("acme", "ana", 10)])},
        scores=score([plain(fact) for fact in facts]),
    )


def test_silent_about_a_history_without_fault() -> None:
    history, evidence = told()
    assert violations(history, evidence) == []
    assert len(history.acknowledged) == 7
    assert set(evidence.scores.points.values()) == {10, 15}  # Bo: two comments, and five for half of ten


def test_silent_about_records_that_the_relay_has_sent_again() -> None:
    history, evidence = told()
    records = evidence.logged["content.events"]
    evidence.logged["content.events"] = [*records[:2], *records]
    assert violations(history, evidence) == []


def _change(evidence: Evidence, place: int, **fields: Any) -> Stored:
    evidence.stored[place] = replace(evidence.stored[place], **fields)
    return evidence.stored[place]


def _data(evidence: Evidence, place: int, **fields: Any) -> None:
    _change(evidence, place, data=evidence.stored[place].data | fields)


def _swap(rows: list[Any], one: int, other: int) -> None:
    rows[one], rows[other] = rows[other], rows[one]


def _stored_again(_: History, evidence: Evidence) -> None:
    again = replace(evidence.stored[3], stream="other", id="other", position=Position(1, 99, 99), partition=None)
    evidence.stored.append(again)


def _late(_: History, evidence: Evidence) -> None:
    records = evidence.logged["content.events"]
    evidence.logged["content.events"] = [records[0], records[2], records[1]]


def _of_another(_: History, evidence: Evidence) -> None:
    stranger = copy.copy(evidence.logged["content.events"][-1])
    stranger.previous, stranger.position, stranger.event_id = stranger.position, "1-99-99", "stranger"
    evidence.logged["content.events"].append(stranger)


SPOILT: dict[str, tuple[Spoil, str]] = {
    "a lost write": (lambda _, e: e.stored.pop(2), "lost: post-published.v1 post-1 was acknowledged and is not stored"),
    "a lost removal": (
        lambda h, _: h.acknowledged.append(Acknowledged("post-removed.v1", "p", "ana", "", None, "")),
        "lost: post-removed.v1 p",
    ),
    "another id": (lambda _, e: _data(e, 2, post="another"), "stored as another"),
    "a token of nothing": (lambda _, e: _change(e, 3, position=Position(1, 77, 77)), "lost: no fact at content.0."),
    "a double application": (_stored_again, "twice: comment-added.v1 comment-1 is stored 2 times"),
    "one event id twice": (lambda _, e: _change(e, 3, id=e.stored[4].id), "twice: event id"),
    "two attributions": (
        lambda _, e: e.stored.append(replace(e.stored[6], stream="x", version=1, id="x", partition=None)),
        "twice: purchase-attributed.v1",
    ),
    "a lost key": (lambda _, e: e.kept.pop(2), "keys: key-2 of post-published.v1 post-1 is kept 0 times"),
    "a key for two": (lambda _, e: e.kept.append(e.kept[2]), "is kept 2 times"),
    "a key without its fact": (
        lambda _, e: e.kept.append(Kept("content", "key-x", 201, "content.0.1-88-88")),
        "keys: key-x is kept without its fact",
    ),
    "another answer": (lambda _, e: e.kept.append(e.kept.pop(2)._replace(token="")), "answered with content.0."),
    "a gap of versions": (lambda _, e: _change(e, 7, version=4), "order: versions of campaigns 5 are [1, 2, 4]"),
    "versions against positions": (
        lambda _, e: (_change(e, 6, version=3), _change(e, 7, version=2)),
        "order: versions of campaigns 5 are [1, 3, 2]",
    ),
    "a gap of floors": (lambda _, e: _data(e, 4, floor=3), "order: floors of post p are [1, 3]"),
    "a floor given twice": (lambda _, e: _data(e, 4, floor=1), "order: floors of post p are [1, 1]"),
    "a record that is missing": (lambda _, e: e.logged["content.events"].pop(), "lacks 1 committed facts"),
    "a gap in a partition": (lambda _, e: e.logged["content.events"].pop(1), "log: ('content.events', 0) offset"),
    "a late record": (_late, "is no repeat, and comes late"),
    "a record of another": (_of_another, "holds 1-99-99, which was never committed"),
    "a consumer left behind": (
        lambda _, e: e.reached.append(e.reached.pop(1)._replace(position=START)),
        "behind: scoring stands at 0-0-0 of content.events/0",
    ),
    "a fact not journaled": (lambda _, e: e.journal.pop(), "is not in the journal"),
    "a fact journaled twice": (lambda _, e: e.journal.append(e.journal[0]._replace(seq=9)), "is journaled 2 times"),
    "a row from nowhere": (lambda _, e: e.journal.append(Journaled(0, 9, "x")), "journal: x was never published"),
    "a gap of the journal": (
        lambda _, e: e.journal.append(e.journal.pop()._replace(seq=9)),
        "journal: rows of lane 0 are not 1 … 8",
    ),
    "a journal out of order": (
        lambda _, e: e.journal.__setitem__(slice(3, 5), [e.journal[4]._replace(seq=4), e.journal[3]._replace(seq=5)]),
        "after a later fact, or a wrong one",
    ),
    "a wrong sum in a table": (
        lambda _, e: e.sums.update(standings=([("acme", "ana", 11)], [("acme", "ana", 10)])),
        "sums: standings lacks",
    ),
    "a wrong sum by the oracle": (
        lambda _, e: e.scores.points.update(dict.fromkeys(e.scores.points, 11)),
        "sums: by the oracle points lacks",
    ),
    "a wrong commission": (lambda _, e: e.scores.earned.clear(), "sums: by the oracle earned lacks"),
    "a wrong referrer": (
        lambda _, e: _data(e, 8, referrer="cai"),
        "referrals: member-joined.v1 join-2 is credited to ('cai',), not to ('ana',)",
    ),
    "no referrer": (lambda _, e: e.stored.pop(8), "is credited to (), not to ('ana',)"),
    "a wrong chain": (lambda _, e: _data(e, 6, chain=[]), "is credited to (), not to ('ana',)"),
    "a purchase never attributed": (lambda _, e: e.stored.pop(6), "nobody, not yet"),
    "a wrong clock": (
        lambda _, e: _change(e, 3, recorded_at=NOON + timedelta(days=1)),
        "clocks: content comment-added",
    ),
    "a day that is not today": (lambda _, e: _change(e, 3, occurred_at=NOON - timedelta(hours=1)), "clocks: content"),
    "times that run back": (
        lambda _, e: _change(e, 7, recorded_at=NOON - timedelta(seconds=1)),
        "clocks: times of campaigns 5 run back",
    ),
    "an unseen write": (
        lambda h, _: h.readings.append(Reading("post-1", "content", seen=False)),
        "unseen: content did not show post-1",
    ),
    "an answer out of place": (lambda h, _: h.otherwise.append("answer: repeated got 500"), "answer: repeated got 500"),
    "a parked key": (lambda _, e: e.parked.append("parked: scoring bo"), "parked: scoring bo"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_complains_about(name: str) -> None:
    spoil, complaint = SPOILT[name]
    history, evidence = told()
    spoil(history, evidence)
    found = violations(history, evidence)
    assert any(complaint in violation for violation in found), found


def test_of_many_violations_of_one_kind_the_first_are_told() -> None:
    history, evidence = told()
    history.readings += [Reading(f"post-{number}", "content", seen=False) for number in range(9)]
    assert violations(history, evidence)[-1] == "… and 4 more like these"
