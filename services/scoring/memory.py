"""What one process remembers of a lane between batches, so that hardly anything is read again."""

from collections.abc import Mapping
from uuid import UUID

from services.scoring.scorecard import Community, Scorecard, Standing, Touched

PersonKey = tuple[str, str]
"""(organization, person)"""


class LaneMemory:
    """What is known of one lane: persons, least recently touched first, their communities, and the next journal number.

    Valid only while nobody else changes the lane; `shared.messaging.facts.LaneFacts.memory` says when.

    Attributes:
        unknown_persons, unknown_communities: met since they were last looked up, by key: whether they have rows, and
            what stands in these, is to be read before anything is folded.
    """

    def __init__(self, lane: int, next_seq: int) -> None:
        self.lane = lane
        self.next_seq = next_seq
        self.persons: dict[PersonKey, Scorecard] = {}
        self.communities: dict[str, Community] = {}
        self.unknown_persons: dict[PersonKey, Scorecard] = {}
        self.unknown_communities: dict[str, Community] = {}
        self._counts_held = 0

    def meet_person(self, organization: str, person: str) -> Scorecard:
        """Somebody who is not among `persons`."""
        key = (organization, person)
        scorecard = self.persons[key] = self.unknown_persons[key] = Scorecard(organization, person)
        return scorecard

    def meet_community(self, id: str, organization: str, zone: str) -> Community:
        """A community that is not among `communities`.

        Raises:
            ValueError: this is not the id of a community.
        """
        if str(UUID(id)) != id:
            raise ValueError(f"not in the canonical form of a UUID: {id!r}")
        community = self.communities[id] = self.unknown_communities[id] = Community(id, organization, zone)
        return community

    def looked_up(self) -> None:
        """Everybody is known now."""
        self._counts_held += sum(person.rows for person in self.unknown_persons.values())
        self.unknown_persons = {}
        self.unknown_communities = {}

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
