"""Fold the log into journal, entries, counts, standings and boards, in the transaction of the lane."""

from collections.abc import Sequence
from typing import Any

from services.scoring.boards import Layout, hold_layout
from services.scoring.fold import LaneFold, meet
from services.scoring.inbound import TYPES
from services.scoring.memory import LaneMemory
from services.scoring.recall import look_up, new_memories
from services.scoring.ruleset import Rulesets
from services.scoring.writing import write
from shared.messaging.facts import LaneFacts

TOPICS = ("membership.events", "content.events", "campaigns.events", "scoring.events")


class ScoringProjection:
    """The one consumer of scoring (`shared.messaging.facts.Projection`).

    Args:
        rulesets: what acts are worth.
        persons_in_memory, counts_in_memory: bounds per lane; who was touched longest ago is forgotten first.
    """

    consumer = "scoring"
    topics: Sequence[str] = TOPICS
    types = TYPES

    def __init__(
        self, rulesets: Rulesets | None = None, *, persons_in_memory: int = 10_000, counts_in_memory: int = 50_000
    ) -> None:
        self._rulesets = rulesets or Rulesets()
        self._persons_in_memory = persons_in_memory
        self._counts_in_memory = counts_in_memory
        self._layout = Layout()

    async def apply(self, connection: Any, lanes: Sequence[LaneFacts]) -> None:
        """Fold the facts of these lanes and write the result; see `Projection.apply`.

        A memory is changed in place, so after a failure it must not be given again.
        """
        await hold_layout(connection)
        lanes = [lane for lane in lanes if lane.facts]
        folds = [LaneFold(memory, self._rulesets) for memory in await self._memories(connection, lanes)]
        batches = [meet(fold.memory, lane.facts) for fold, lane in zip(folds, lanes, strict=True)]
        await look_up(connection, [fold.memory for fold in folds])
        for fold, batch in zip(folds, batches, strict=True):
            for met in batch:
                fold.add(met)
            fold.finish()
        numbers = {standing.community.number for fold in folds for standing in fold.touched}
        await write(connection, folds, await self._layout.of(connection, numbers))
        for lane, fold in zip(lanes, folds, strict=True):
            fold.memory.settle(fold.touched, max_persons=self._persons_in_memory, max_counts=self._counts_in_memory)
            lane.memory = fold.memory

    async def _memories(self, connection: Any, lanes: Sequence[LaneFacts]) -> list[LaneMemory]:
        """The memory of each lane, taken from it: it comes back only if all goes well."""
        cold = [lane.lane for lane in lanes if lane.memory is None]
        new = await new_memories(connection, cold) if cold else {}
        memories = [new[lane.lane] if lane.memory is None else lane.memory for lane in lanes]
        for lane in lanes:
            lane.memory = None
        return memories
