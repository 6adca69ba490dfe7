"""Whether what is stored can have come from what clients were told: every promise, as a pure function of both.

Each function of `CHECKS` returns what speaks against its promise, as sentences; nothing, if it is kept.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from shared.messaging.facts import InboundFact
from shared.position import START, Position, parse_tokens
from tests.chaos.history import Evidence, History, Stored
from tests.oracle.oracle import Scores, score
from tests.oracle.projected import plain

SHOWN = 5
"""Of one kind of violation, so many are told in full."""

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


def broken_streams(_: History, evidence: Evidence) -> list[str]:
    """Versions of each stream are 1, 2, 3 …, and rise with the positions."""
    streams: dict[tuple[str, str], list[Stored]] = defaultdict(list)
    for fact in sorted(evidence.stored, key=lambda fact: (fact.service, fact.position)):
        streams[fact.service, fact.stream].append(fact)
    found = []
    for (service, stream), facts in streams.items():
        versions = [fact.version for fact in facts]
        if versions != list(range(1, len(facts) + 1)):
            found.append(f"order: versions of {service} {stream} are {versions}")
    return found


def broken_floors(_: History, evidence: Evidence) -> list[str]:
    """The comments of a post stand on floors 1, 2, 3 …"""
    floors: dict[str, list[int]] = defaultdict(list)
    for fact in evidence.stored:
        if fact.type == "comment-added.v1":
            floors[fact.data["post"]].append(fact.data["floor"])
    return [
        f"order: floors of post {post} are {sorted(given)}"
        for post, given in floors.items()
        if sorted(given) != list(range(1, len(given) + 1))
    ]


def broken_partitions(_: History, evidence: Evidence) -> list[str]:
    """Each partition holds what was committed for it and nothing else, in order, each record naming the one before."""
    found = []
    committed: dict[tuple[str, int], dict[Position, str]] = defaultdict(dict)
    for fact in evidence.stored:
        if fact.partition is not None:
            committed[f"{fact.service}.events", fact.partition][fact.position] = fact.id
    logged: dict[tuple[str, int], list[InboundFact]] = defaultdict(list)
    for topic, records in evidence.logged.items():
        for record in records:
            logged[topic, record.partition].append(record)
    for place in committed.keys() | logged.keys():
        last = START
        seen: dict[Position, str] = {}
        for record in logged[place]:
            position = Position.parse(record.position)
            if committed[place].get(position) != record.event_id:
                found.append(f"log: {place} offset {record.offset} holds {position}, which was never committed")
            if position > last:
                if Position.parse(record.previous) != last:
                    found.append(
                        f"log: {place} offset {record.offset}: {position} follows {last}, not {record.previous}"
                    )
                last = position
            elif seen.get(position) != record.previous:
                found.append(f"log: {place} offset {record.offset}: {position} is no repeat, and comes late")
            seen[position] = record.previous
        if missing := sorted(committed[place].keys() - seen.keys()):
            found.append(f"log: {place} lacks {len(missing)} committed facts, the first at {missing[0]}")
    return found


def left_behind(_: History, evidence: Evidence) -> list[str]:
    """Every consumer stands at the last fact of every partition it reads."""
    ends: dict[tuple[str, int], Position] = {}
    for topic, records in evidence.logged.items():
        for record in records:
            place = topic, record.partition
            ends[place] = max(ends.get(place, START), Position.parse(record.position))
    at = {(row.consumer, row.topic, row.partition): row.position for row in evidence.reached}
    consumers = {(row.consumer, row.topic) for row in evidence.reached}
    return [
        f"behind: {consumer} stands at {at.get((consumer, topic, partition))} of {topic}/{partition}, not at {end}"
        for consumer, topic in consumers
        for (of, partition), end in ends.items()
        if of == topic and at.get((consumer, topic, partition)) != end
    ]


def wrong_journal(_: History, evidence: Evidence) -> list[str]:
    """Scoring's journal holds every fact it keeps once, in the order of each partition, its rows numbered 1, 2, 3 …"""
    found = []
    rows = sorted(evidence.journal)
    expected: dict[str, tuple[str, int, Position]] = {}
    for topic, records in evidence.logged.items():
        for record in records:
            if record.type in evidence.journaled_types:
                expected[record.event_id] = (topic, record.partition, Position.parse(record.position))
    times = Counter(row.event_id for row in rows)
    found += [f"twice: {event_id} is journaled {n} times" for event_id, n in times.items() if n > 1]
    found += [f"lost: {event_id} is not in the journal" for event_id in expected.keys() - times.keys()]
    found += [f"journal: {event_id} was never published" for event_id in times.keys() - expected.keys()]
    lanes: dict[int, list[int]] = defaultdict(list)
    last: dict[tuple[str, int], Position] = {}
    for row in rows:
        lanes[row.lane].append(row.seq)
        if row.event_id in expected:
            topic, partition, position = expected[row.event_id]
            if (partition, True) != (row.lane, position > last.get((topic, partition), START)):
                found.append(
                    f"order: {row.event_id} is journaled in lane {row.lane} after a later fact, or a wrong one"
                )
            last[topic, partition] = position
    found += [
        f"journal: rows of lane {lane} are not 1 … {len(seqs)}"
        for lane, seqs in lanes.items()
        if seqs != list(range(1, len(seqs) + 1))
    ]
    return found


def wrong_sums(_: History, evidence: Evidence) -> list[str]:
    """Scoring's tables equal two recomputations: in closed form from its journal, and by the oracle from the log."""
    found = []
    for table, (stands, due) in evidence.sums.items():
        missing, more = _apart(stands, due)
        if missing or more:
            found.append(f"sums: {table} lacks {missing[:3]}, holds {more[:3]}")
    order = {row.event_id: (row.lane, row.seq) for row in evidence.journal}
    facts = {
        record.event_id: record
        for records in evidence.logged.values()
        for record in records
        if record.event_id in order and record.type in evidence.journaled_types
    }
    told = [plain(facts[event_id]) for event_id in sorted(facts, key=order.__getitem__)]
    found += _apart_from_the_oracle(evidence.scores.without_zeros(), score(told).without_zeros())
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


def wrong_clocks(_: History, evidence: Evidence) -> list[str]:
    """Times are the database's, whatever the clocks of the processes say; and each is not before what came before."""
    found = [
        f"clocks: {fact.service} {fact.type} says {fact.recorded_at}, {fact.occurred_at}"
        for fact in evidence.stored
        if not evidence.began <= fact.recorded_at <= evidence.ended
        or not evidence.began <= fact.occurred_at <= evidence.ended
    ]
    streams: dict[tuple[str, str], list[Stored]] = defaultdict(list)
    for fact in sorted(evidence.stored, key=lambda fact: fact.version):
        streams[fact.service, fact.stream].append(fact)
    for (service, stream), facts in streams.items():
        if any(earlier.recorded_at > later.recorded_at for earlier, later in pairwise(facts)):
            found.append(f"clocks: times of {service} {stream} run back")
    return found


def unseen_writes(history: History, _: Evidence) -> list[str]:
    """A read that carries the token of a write shows it."""
    return [f"unseen: {read.where} did not show {read.marker}" for read in history.readings if not read.seen]


CHECKS: Sequence[Callable[[History, Evidence], list[str]]] = (
    lost,
    applied_twice,
    keys_apart_from_facts,
    broken_streams,
    broken_floors,
    broken_partitions,
    left_behind,
    wrong_journal,
    wrong_sums,
    wrong_referrals,
    wrong_clocks,
    unseen_writes,
)


def violations(history: History, evidence: Evidence) -> list[str]:
    """Everything that breaks a promise; of each kind the first few."""
    found = [_some(history.otherwise), *(_some(check(history, evidence)) for check in CHECKS), evidence.parked]
    return [violation for kind in found for violation in kind]


def _apart(stands: Iterable[Any], due: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """What is missing, and what is there without a reason."""
    have, want = Counter(map(repr, stands)), Counter(map(repr, due))
    return list((want - have).elements()), list((have - want).elements())


def _apart_from_the_oracle(stands: Scores, due: Scores) -> list[str]:
    found = []
    for name in ("day_scores", "points", "effects", "commission", "earned"):
        missing, more = _apart(getattr(stands, name).items(), getattr(due, name).items())
        if missing or more:
            found.append(f"sums: by the oracle {name} lacks {missing[:3]}, holds {more[:3]}")
    return found


def _some(found: list[str]) -> list[str]:
    """The first few, and how many more there are."""
    return found if len(found) <= SHOWN else [*found[:SHOWN], f"… and {len(found) - SHOWN} more like these"]
