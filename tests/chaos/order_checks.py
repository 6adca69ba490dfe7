"""How facts follow one another: in streams, on floors, in the partitions of the log, at consumers, and in time."""

from collections import defaultdict
from itertools import pairwise

from shared.messaging.facts import InboundFact
from shared.position import START, Position
from tests.chaos.history import Evidence, History, Stored


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
