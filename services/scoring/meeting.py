"""Find whom the facts of a batch are about."""

from collections.abc import Iterable
from datetime import datetime
from itertools import repeat

import msgspec

from services.scoring.inbound import Message
from services.scoring.memory import LaneMemory
from services.scoring.ruleset import Ruleset, Rulesets
from services.scoring.scorecard import Community, Scorecard
from shared.messaging.facts import InboundFact, Poison


class Met(msgspec.Struct, frozen=True, gc=False):
    """A fact with all that it is about.

    Attributes:
        person: None for facts about a community.
        ruleset: number of the version that was in force, for a fact out of the journal; None: to be found out.
    """

    fact: InboundFact
    message: Message
    community: Community
    person: Scorecard | None
    ruleset: int | None = None

    def version(self, rulesets: Rulesets, occurred_at: datetime) -> Ruleset:
        """The version in force when its act occurred. Once journaled, that is never found out anew."""
        if self.ruleset is not None:
            return rulesets.numbered(self.ruleset)
        return rulesets.version_at(self.message.organization, self.community.id, occurred_at)


def meet(
    memory: LaneMemory,
    facts: Iterable[InboundFact],
    messages: Iterable[Message],
    rulesets: Iterable[int | None] = repeat(None),
) -> list[Met]:
    """Find in memory whom the facts are about. Whoever is unknown there is to be looked up before they are folded.

    Args:
        messages: what each of them says.
        rulesets: the version that each was journaled with, if it was.

    Raises:
        Poison: a fact is not of the shape that scoring needs.
    """
    persons, communities = memory.persons, memory.communities
    met = []
    for fact, message, ruleset in zip(facts, messages, rulesets, strict=False):
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
        met.append(Met(fact, message, community, person, ruleset))
    return met
