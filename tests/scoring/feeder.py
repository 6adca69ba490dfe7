"""Hand facts to the projection of scoring as the consumer does."""

from collections.abc import Sequence
from typing import Any

from services.scoring.projections import ScoringProjection
from shared.messaging.facts import InboundFact, LaneFacts


class Feeder:
    """Lane by lane, with the memory of each kept from commit to commit."""

    def __init__(self, connection: Any, projection: ScoringProjection | None = None) -> None:
        self._connection = connection
        self.projection = projection or ScoringProjection()
        self.memory: dict[int, Any] = {}

    async def apply(self, facts: Sequence[InboundFact]) -> None:
        """In one transaction."""
        lanes = [
            LaneFacts(lane, [fact for fact in facts if fact.partition == lane], self.memory.pop(lane, None))
            for lane in sorted({fact.partition for fact in facts})
        ]
        async with self._connection.transaction():
            await self.projection.apply(self._connection, lanes)
        self.memory |= {lane.lane: lane.memory for lane in lanes}
