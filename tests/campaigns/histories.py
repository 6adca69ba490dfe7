"""Random histories of membership and content, as those services would publish them."""

from datetime import timedelta
from typing import NamedTuple

from hypothesis import strategies as st

from shared.messaging.facts import InboundFact, LaneFacts
from tests.campaigns.facts import NOW
from tests.campaigns.heard import absent, bound, in_lanes, joined, shared

PERSONS = [f"p{number}" for number in range(4)]
CODES = ["5R8T2W4Z", "7K3M9Q2X", "00000001"]
TOO_OLD = CODES[2]
"""Its share occurred 31 days before it was recorded."""


class Told(NamedTuple):
    """One thing that happens, so long after NOW.

    Attributes:
        act: join, join-by-unknown-code, settle-bound, settle-absent, share.
        other: the referrer of a join, the code of a share.
    """

    act: str
    person: str
    other: str
    after: timedelta


def as_published(told: list[Told]) -> list[InboundFact]:
    """The facts, in the order they were committed. What cannot happen is left out: a second binding, a settlement of
    nothing, a second share under one code.
    """
    facts: list[InboundFact] = []
    bindings: dict[str, str] = {}
    pending: dict[str, list[tuple[str, timedelta]]] = {}
    codes: set[str] = set()
    for number, (act, person, other, after) in enumerate(told):
        at, waiting = NOW + after, pending.get(person, [])
        match act:
            case "join" | "join-by-unknown-code" if person in bindings:
                facts.append(joined(person, bindings[person], recorded_at=at))
            case "join-by-unknown-code":
                facts.append(joined(person, pending=str(number), recorded_at=at))
                pending[person] = [*waiting, (str(number), after)]
            case "join" if waiting:
                facts.append(joined(person, pending=str(number), recorded_at=at))
                pending[person] = [*waiting, (str(number), after)]
            case "join" if other != person:
                bindings[person] = other
                facts.append(joined(person, other, recorded_at=at))
            case "join":
                facts.append(joined(person, recorded_at=at))
            case "settle-bound" if waiting and other != person:
                (first, since), *later = pending.pop(person)
                bindings[person] = other
                facts.append(bound(person, first, other, since=NOW + since, recorded_at=at))
                facts += [bound(person, name, other, since=NOW + since, recorded_at=at) for name, since in later]
            case "settle-absent" if waiting:
                facts += [absent(person, name, recorded_at=at) for name, _ in pending.pop(person)]
            case "share" if other not in codes:
                codes.add(other)
                age = timedelta(days=31 if other == TOO_OLD else 0)
                facts.append(shared(person, other, recorded_at=at, occurred_at=at - age))
    return facts


@st.composite
def histories(draw: st.DrawFn) -> list[Told]:
    """Up to 15 acts, the times of which rise, by up to four seconds each."""
    told: list[Told] = []
    after = timedelta(0)
    for _ in range(draw(st.integers(0, 15))):
        act = draw(st.sampled_from(["join", "join", "join-by-unknown-code", "settle-bound", "settle-absent", "share"]))
        other = draw(st.sampled_from(CODES if act == "share" else PERSONS))
        after += timedelta(milliseconds=100 * draw(st.integers(0, 40)))
        told.append(Told(act, draw(st.sampled_from(PERSONS)), other, after))
    return told


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[InboundFact], list[list[LaneFacts]]]:
    """A history, and the batches in which lanes hear it: each lane in order, lanes in any order, split anywhere. The two
    topics of a lane are mixed in any way.
    """
    facts = as_published(draw(histories()))
    waiting: dict[tuple[int, str], list[InboundFact]] = {}
    for fact in facts:
        waiting.setdefault((fact.partition, fact.topic), []).append(fact)
    batches = []
    while waiting:
        batch: list[InboundFact] = []
        for partition in draw(st.lists(st.sampled_from(sorted(waiting)), min_size=1, max_size=3, unique=True)):
            count = draw(st.integers(1, len(waiting[partition])))
            batch += waiting[partition][:count]
            waiting[partition] = waiting[partition][count:]
            if not waiting[partition]:
                del waiting[partition]
        batches.append(in_lanes(batch))
    return facts, batches
