"""Fold the log into journal, entries, counts, standings and boards, in the transaction of the lane."""

from collections.abc import Sequence
from typing import Any

from services.scoring.boards import Layout, hold_layout
from services.scoring.events import COMMISSION, stream_of
from services.scoring.fold import LaneFold
from services.scoring.folding import begin, communities_of, complete
from services.scoring.inbound import TYPES, read
from services.scoring.meeting import meet
from services.scoring.memory import LaneMemory
from services.scoring.publishing import publish
from services.scoring.recall import give_numbers, new_memories
from services.scoring.rulesetreads import PublishedRulesets
from services.scoring.writing import write
from shared.commands.writing import Writing
from shared.messaging.facts import LaneFacts
from shared.messaging.lane_publishing import Following, publish_from_lane
from shared.service import projects_nothing

TOPICS = ("membership.events", "content.events", "campaigns.events", "scoring.events")

_VOIDED = """
select stream_id, max(version)
  from events
 where stream_id = any ($1)
   and type = 'commission-voided.v1'
 group by stream_id
"""


class ScoringProjection:
    """The one consumer of scoring (`shared.messaging.facts.Projection`).

    Args:
        partitions: of the topic on which it publishes what follows from facts.
        persons_in_memory, counts_in_memory: bounds per lane; who was touched longest ago is forgotten first.
    """

    consumer = "scoring"
    topics: Sequence[str] = TOPICS
    types = TYPES

    def __init__(
        self, *, partitions: int = 12, persons_in_memory: int = 10_000, counts_in_memory: int = 50_000
    ) -> None:
        self._writing = Writing("scoring", "scoring.events", partitions, publish, projects_nothing)
        self._persons_in_memory = persons_in_memory
        self._counts_in_memory = counts_in_memory
        self._layout = Layout()
        self._rulesets = PublishedRulesets()

    async def apply(self, connection: Any, lanes: Sequence[LaneFacts]) -> None:
        """Fold the facts of these lanes and write the result; see `Projection.apply`.

        A memory is changed in place, so after a failure it must not be given again.
        """
        await hold_layout(connection)
        lanes = [lane for lane in lanes if lane.facts]
        memories = await self._memories(connection, lanes)
        batches = [
            meet(memory, lane.facts, map(read, lane.facts)) for memory, lane in zip(memories, lanes, strict=True)
        ]
        folds = await begin(connection, memories, batches, self._rulesets)
        await self._publish(connection, folds)
        await give_numbers(connection, memories)
        complete(folds, batches)
        await write(connection, folds, await self._layout.of(connection, communities_of(folds)))
        for lane, fold in zip(lanes, folds, strict=True):
            fold.memory.settle(fold.touched, max_persons=self._persons_in_memory, max_counts=self._counts_in_memory)
            lane.memory = fold.memory

    async def _publish(self, connection: Any, folds: Sequence[LaneFold]) -> None:
        """The first write of the transaction."""
        bookings = {stream_of(booking.booked.entry): booking for fold in folds for booking in fold.orders.bookings}
        if not bookings:
            return
        # What was booked before may be booked again only if it was voided meanwhile.
        voided = dict(await connection.fetch(_VOIDED, list(bookings)))
        following = [
            Following(stream, booking.booked, booking.cause.traceparent, voided.get(stream, 0) + 1)
            for stream, booking in bookings.items()
        ]
        await self.publish(connection, following)

    async def publish(self, connection: Any, following: Sequence[Following]) -> None:
        """Publish facts about commission. Must be the first write of a lane's transaction."""
        await publish_from_lane(connection, self._writing, COMMISSION, following)

    async def _memories(self, connection: Any, lanes: Sequence[LaneFacts]) -> list[LaneMemory]:
        """The memory of each lane, taken from it: it comes back only if all goes well."""
        cold = [lane.lane for lane in lanes if lane.memory is None]
        new = await new_memories(connection, cold) if cold else {}
        memories = [new[lane.lane] if lane.memory is None else lane.memory for lane in lanes]
        for lane in lanes:
            lane.memory = None
        return memories
