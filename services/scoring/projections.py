"""Fold the log into journal, entries, counts, standings and boards, in the transaction of the lane."""

from collections.abc import Sequence
from typing import Any

from services.scoring.boards import Layout, hold_layout
from services.scoring.fold import LaneFold, LaneMemory
from services.scoring.inbound import TYPES, Message, read
from services.scoring.recall import new_memories, recall
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
        messages = [[read(fact) for fact in lane.facts] for lane in lanes]
        memories = await self._memories(connection, lanes)
        batches = list(zip(memories, messages, strict=True))
        await recall(connection, batches)
        beginnings = await self._layout.of(connection, _numbers(batches))
        folds = []
        for lane, (memory, read_facts) in zip(lanes, batches, strict=True):
            fold = LaneFold(memory, self._rulesets)
            for fact, message in zip(lane.facts, read_facts, strict=True):
                fold.add(fact, message)
            fold.finish()
            folds.append(fold)
        await write(connection, folds, beginnings)
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


def _numbers(batches: Sequence[tuple[LaneMemory, Sequence[Message]]]) -> set[int]:
    """The numbers of the communities of these messages that have one."""
    return {
        number
        for memory, messages in batches
        for community in {message.community for message in messages} & memory.communities.keys()
        if (number := memory.communities[community].number)
    }
