"""Fold the facts of one lane in journal order, in memory: scorecards change, and the rows that tell of it come out."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from services.scoring.inbound import (
    CommunityFounded,
    CommunityLaunched,
    MemberJoined,
    MemberLeft,
    Message,
    PostPublished,
    PostRemoved,
    read,
)
from services.scoring.memory import LaneMemory
from services.scoring.rows import entry_row, journal_row
from services.scoring.ruleset import Act, Rulesets
from services.scoring.scorecard import Community, NeverDone, Scorecard, Standing, Touched
from shared.messaging.facts import InboundFact, Poison

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


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


class LaneFold:
    """One batch of one lane. Everybody whom it is about is known to the memory, and has a number.

    Attributes:
        journal: the rows of `journal`, one per fact, in order.
        entries: the rows of `point_entries`.
        touched: standings that changed.
    """

    def __init__(self, memory: LaneMemory, rulesets: Rulesets) -> None:
        self.memory = memory
        self.journal: list[bytes] = []
        self.entries: list[bytes] = []
        self.touched: dict[Standing, Touched] = {}
        self._rulesets = rulesets

    def add(self, met: Met) -> None:
        """Fold the next fact.

        Raises:
            Poison: it takes back what was never done, or an id in it is none.
        """
        _FOLDS[type(met.message)](self, met, met.message)
        self.memory.next_seq += 1

    def finish(self) -> None:
        """Bring the rank keys of what was touched up to date."""
        for standing, touch in self.touched.items():
            if touch.counts:
                standing.rekey()

    def _nothing(self, met: Met, message: Message) -> None:
        self._note(met)

    def _joined(self, met: Met, message: MemberJoined) -> None:
        standing, _ = self._touch(met)
        standing.active = True
        if message.first_in_community:
            self._count(met, Act.MEMBER_JOINED, None, message.local_day, message.occurred_at, 1)
        else:
            self._note(met)

    def _left(self, met: Met, message: MemberLeft) -> None:
        standing, _ = self._touch(met)
        standing.active = False
        self._note(met)

    def _published(self, met: Met, message: PostPublished) -> None:
        self._count(met, Act.POST_PUBLISHED, message.post, message.local_day, message.occurred_at, 1)

    def _removed(self, met: Met, message: PostRemoved) -> None:
        self._count(met, Act.POST_PUBLISHED, message.post, message.act_local_day, message.act_occurred_at, -1)

    def _count(
        self, met: Met, act: Act, act_id: str | None, act_day: date, act_occurred_at: datetime, step: int
    ) -> None:
        """Let one more or one less act of that day stand, under the version in force when it occurred."""
        standing, touch = self._touch(met)
        ruleset = self._rulesets.version_at(met.message.organization, met.community.id, act_occurred_at)
        day = act_day.toordinal() - EPOCH_ORDINAL
        try:
            effect = standing.count(day, act, ruleset, step)
        except NeverDone:
            reason = f"{touch.person.person} has no {act.label} of {act_day} left to take back"
            raise Poison(met.fact, reason) from None
        touch.counts[day, act, ruleset.number] = ruleset.rules[act]
        self._note(met, act_id, act_day, ruleset.number)
        self.entries.append(entry_row(touch.person.number, self.memory.next_seq, met.community.number, effect))

    def _touch(self, met: Met) -> tuple[Standing, Touched]:
        person, community = met.person, met.community
        assert person is not None
        standing = person.standings.get(community.id)
        if standing is None:
            standing = person.standings[community.id] = Standing(community)
        touch = self.touched.get(standing)
        if touch is None:
            touch = self.touched[standing] = Touched(person, standing.place, len(standing.counts))
        return standing, touch

    def _note(
        self, met: Met, act_id: str | None = None, act_day: date | None = None, ruleset: int | None = None
    ) -> None:
        """Journal the fact; act and ruleset are None where nothing was done."""
        memory = self.memory
        try:
            row = journal_row(
                memory.lane,
                memory.next_seq,
                met.fact.event_id,
                met.message,
                met.community.number,
                met.person.number if met.person is not None else None,
                act_id,
                act_day,
                ruleset,
            )
        except ValueError as error:
            raise Poison(met.fact, str(error)) from error
        self.journal.append(row)


_FOLDS: Mapping[type[Message], Callable[[LaneFold, Met, Any], None]] = {
    CommunityFounded: LaneFold._nothing,
    CommunityLaunched: LaneFold._nothing,
    MemberJoined: LaneFold._joined,
    MemberLeft: LaneFold._left,
    PostPublished: LaneFold._published,
    PostRemoved: LaneFold._removed,
}
