"""Read the facts of a batch, and find whom they are about."""

from collections.abc import Sequence

import msgspec

from services.scoring.inbound import Message, read
from services.scoring.memory import LaneMemory
from services.scoring.scorecard import Community, Scorecard
from shared.messaging.facts import InboundFact, Poison


class Met(msgspec.Struct, frozen=True, gc=False):
    """A fact with all that it is about; `person` is None for facts about a community."""

    fact: InboundFact
    message: Message
    community: Community
    person: Scorecard | None


def meet(memory: LaneMemory, facts: Sequence[InboundFact]) -> list[Met]:
    """Read the facts, and find in memory whom they are about. Whoever is unknown there is to be looked up before these
    facts are folded.

    Raises:
        Poison: a fact is not of the shape that scoring needs.
    """
    persons, communities = memory.persons, memory.communities
    met = []
    for fact in facts:
        message = read(fact)
        community = communities.get(message.community)
        if community is None:
            try:
                community = memory.meet_community(message.community, message.organization, message.zone)
            except ValueError:
                raise Poison(fact, f"{message.community!r} is not the id of a community") from None
        person = None
        if message.person is not None:
            if fact.key != message.person:
                raise Poison(fact, f"the record's key is {fact.key!r}, not the person it is about")
            person = persons.get((message.organization, message.person))
            if person is None:
                person = memory.meet_person(message.organization, message.person)
        met.append(Met(fact, message, community, person))
    return met
