"""Fold the facts of one lane in journal order, in memory: scorecards change, journal rows and effects come out."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from services.scoring.inbound import (
    CommunityFact,
    CommunityFounded,
    CommunityLaunched,
    MemberJoined,
    MemberLeft,
    Message,
    PersonFact,
    PostPublished,
    PostRemoved,
)
from services.scoring.ruleset import Act, Effect, Rule, Rulesets
from services.scoring.scorecard import Community, CountKey, NeverDone, Place, Scorecard, Standing
from shared.messaging.facts import InboundFact, Poison

PersonKey = tuple[str, str]
"""(organization, person)"""

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class JournalRow(msgspec.Struct, frozen=True, gc=False):
    """A fact as folded; `person` is None for facts about a community, act and ruleset where nothing was done."""

    seq: int
    fact: InboundFact
    message: Message
    person: Scorecard | None
    community: Community
    act_id: str | None = None
    act_day: date | None = None
    ruleset: int | None = None
    effect: Effect | None = None


class Touched(msgspec.Struct, eq=False, gc=False):
    """A standing that the batch changed: how it was before, and which of its counts changed, with their rules."""

    person: Scorecard
    before: Place
    size_before: int
    counts: dict[CountKey, Rule] = {}


class LaneMemory:
    """What is known of one lane: persons, least recently touched first, their communities, and the next journal number.

    Valid only while nobody else changes the lane; `shared.messaging.facts.LaneFacts.memory` says when.
    """

    def __init__(self, lane: int, next_seq: int) -> None:
        self.lane = lane
        self.next_seq = next_seq
        self.persons: dict[PersonKey, Scorecard] = {}
        self.communities: dict[str, Community] = {}
        self._counts_held = 0

    def learn(self, person: Scorecard) -> None:
        """Take in a person as stored."""
        self.persons[person.organization, person.person] = person
        self._counts_held += person.rows

    def settle(self, touched: Mapping[Standing, Touched], *, max_persons: int, max_counts: int) -> None:
        """After a batch: put its persons last, then forget the first ones until what is held is small enough."""
        for standing, touch in touched.items():
            self._counts_held += len(standing.counts) - touch.size_before
            key = (touch.person.organization, touch.person.person)
            self.persons[key] = self.persons.pop(key)
        while self.persons and (len(self.persons) > max_persons or self._counts_held > max_counts):
            forgotten = self.persons.pop(next(iter(self.persons)))
            self._counts_held -= forgotten.rows
        if len(self.communities) > max_persons:
            self.communities = {
                community: standing.community
                for person in self.persons.values()
                for community, standing in person.standings.items()
            }


class LaneFold:
    """One batch of one lane. The memory must hold all persons and communities of the batch that have rows.

    Attributes:
        journal: one row per fact, in order.
        touched: standings that changed.
        new_communities: communities met for the first time.
    """

    def __init__(self, memory: LaneMemory, rulesets: Rulesets) -> None:
        self.memory = memory
        self.journal: list[JournalRow] = []
        self.touched: dict[Standing, Touched] = {}
        self.new_communities: list[Community] = []
        self._rulesets = rulesets

    def add(self, fact: InboundFact, message: Message) -> None:
        """Fold the next fact.

        Raises:
            Poison: it takes back what was never done, or names no community.
        """
        memory = self.memory
        community = memory.communities.get(message.community)
        if community is None:
            community = memory.communities[message.community] = _new_community(fact, message)
            self.new_communities.append(community)
        self.journal.append(_FOLDS[type(message)](self, fact, message, community))
        memory.next_seq += 1

    def finish(self) -> None:
        """Bring the rank keys of what was touched up to date."""
        for standing, touch in self.touched.items():
            if touch.counts:
                standing.rekey()

    def _nothing(self, fact: InboundFact, message: CommunityFact, community: Community) -> JournalRow:
        return JournalRow(self.memory.next_seq, fact, message, None, community)

    def _joined(self, fact: InboundFact, message: MemberJoined, community: Community) -> JournalRow:
        person, standing, _ = self._touch(fact, message, community)
        standing.active = True
        if not message.first_in_community:
            return JournalRow(self.memory.next_seq, fact, message, person, community)
        act = Act.MEMBER_JOINED
        return self._count(fact, message, community, act, None, message.local_day, message.occurred_at, 1)

    def _left(self, fact: InboundFact, message: MemberLeft, community: Community) -> JournalRow:
        person, standing, _ = self._touch(fact, message, community)
        standing.active = False
        return JournalRow(self.memory.next_seq, fact, message, person, community)

    def _published(self, fact: InboundFact, message: PostPublished, community: Community) -> JournalRow:
        act, day = Act.POST_PUBLISHED, message.local_day
        return self._count(fact, message, community, act, message.post, day, message.occurred_at, 1)

    def _removed(self, fact: InboundFact, message: PostRemoved, community: Community) -> JournalRow:
        act, day = Act.POST_PUBLISHED, message.act_local_day
        return self._count(fact, message, community, act, message.post, day, message.act_occurred_at, -1)

    def _count(
        self,
        fact: InboundFact,
        message: PersonFact,
        community: Community,
        act: Act,
        act_id: str | None,
        act_day: date,
        act_occurred_at: datetime,
        step: int,
    ) -> JournalRow:
        """Let one more or one less act of that day stand, under the version in force when it occurred."""
        person, standing, touch = self._touch(fact, message, community)
        ruleset = self._rulesets.version_at(message.organization, community.id, act_occurred_at)
        day = act_day.toordinal() - EPOCH_ORDINAL
        try:
            effect = standing.count(day, act, ruleset, step)
        except NeverDone:
            raise Poison(fact, f"{message.person} has no {act.label} of {act_day} left to take back") from None
        touch.counts[day, act, ruleset.number] = ruleset.rules[act]
        seq = self.memory.next_seq
        return JournalRow(seq, fact, message, person, community, act_id, act_day, ruleset.number, effect)

    def _touch(
        self, fact: InboundFact, message: PersonFact, community: Community
    ) -> tuple[Scorecard, Standing, Touched]:
        if fact.key != message.person:
            raise Poison(fact, f"the record's key is {fact.key!r}, not the person it is about")
        key = (message.organization, message.person)
        person = self.memory.persons.get(key)
        if person is None:
            person = self.memory.persons[key] = Scorecard(message.organization, message.person)
        standing = person.standings.get(community.id)
        if standing is None:
            standing = person.standings[community.id] = Standing(community)
        touch = self.touched.get(standing)
        if touch is None:
            touch = self.touched[standing] = Touched(person, standing.place, len(standing.counts))
        return person, standing, touch


def _new_community(fact: InboundFact, message: Message) -> Community:
    try:
        canonical = str(UUID(message.community))
    except ValueError:
        canonical = ""
    if canonical != message.community:
        raise Poison(fact, f"{message.community!r} is not the id of a community")
    return Community(message.community, message.organization, message.zone)


_FOLDS: Mapping[type[Message], Callable[[LaneFold, InboundFact, Any, Community], JournalRow]] = {
    CommunityFounded: LaneFold._nothing,
    CommunityLaunched: LaneFold._nothing,
    MemberJoined: LaneFold._joined,
    MemberLeft: LaneFold._left,
    PostPublished: LaneFold._published,
    PostRemoved: LaneFold._removed,
}
