"""Hand facts to the projection of scoring as the consumer does."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from services.scoring.projections import ScoringProjection
from shared.messaging.cloudevents import read_envelopes
from shared.messaging.facts import InboundFact, LaneFacts
from shared.messaging.lanes import Chunk, replace_stamps
from shared.messaging.log import TopicPartition
from shared.position import START, Position
from tests.support.toy import ToyRecord, envelope


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
            await replace_stamps(self._connection, self.projection.consumer, [lane.lane for lane in lanes])
        self.memory |= {lane.lane: lane.memory for lane in lanes}


def as_records(facts: Sequence[InboundFact], *, repeated: bool = False) -> list[Chunk]:
    """The facts as an honest relay leaves them in the log, per partition.

    Args:
        repeated: every record stands there twice in a row of rounds, as after a relay that was resumed.
    """
    chunks = records_of(facts)
    if repeated:
        for records in chunks.values():
            records += [replace(record, offset=record.offset + len(records)) for record in records]
    return [(partition, read_envelopes(records)) for partition, records in chunks.items()]


def records_of(facts: Sequence[InboundFact]) -> dict[TopicPartition, list[ToyRecord]]:
    """The facts as records, per partition, in order."""
    chunks: dict[TopicPartition, list[ToyRecord]] = {}
    last: dict[TopicPartition, Position] = {}
    for fact in facts:
        partition = TopicPartition(fact.topic, fact.partition)
        records = chunks.setdefault(partition, [])
        position = Position(1, 1000 + fact.offset, fact.offset)
        headers = [
            (name, fact.event_id.encode() if name == "ce_id" else text)
            for name, text in envelope(position, last.get(partition, START), kind=fact.type)
        ]
        last[partition] = position
        records.append(ToyRecord(fact.topic, fact.partition, len(records), fact.key.encode(), headers, fact.value))
    return chunks
