"""What scoring has made of the facts: its journal, and its sums."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from shared.position import START, Position
from tests.chaos.history import Evidence, History
from tests.oracle.oracle import Scores, score
from tests.oracle.projected import plain


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
