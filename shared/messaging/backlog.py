"""What was fetched and waits to be folded, handed out so that little of it costs one transaction, and much of it keeps all workers busy."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Collection, Sequence

from shared.messaging.lanes import Chunk
from shared.messaging.log import TopicPartition

JOIN_RECORDS = 1_000
"""While one batch is being folded, others join in only if so many records wait: a transaction costs the same for one."""

PATIENCE_SECONDS = 0.2
"""They also join in if it takes so long: its lanes must not hold up the others."""


class Backlog:
    """Chunks by lane, in order; a lane is in one worker's hands at a time.

    Args:
        workers: who take from it.
        batch_records: most records of one batch.

    Attributes:
        waiting: records in it.
        full: nothing more should be fetched now.
    """

    def __init__(self, *, workers: int, batch_records: int) -> None:
        self.waiting = 0
        self.full = False
        self._workers = workers
        self._batch_records = batch_records
        self._chunks: deque[Chunk] = deque()
        self._busy: set[int] = set()
        self._took_at = 0.0
        self._changed = asyncio.Event()

    def put(self, chunk: Chunk) -> None:
        self._chunks.append(chunk)
        self._count(len(chunk[1]))
        self._changed.set()

    def drop(self, partitions: Collection[TopicPartition]) -> None:
        """Forget what waits of these."""
        self._chunks = deque(chunk for chunk in self._chunks if chunk[0] not in partitions)
        self._count(sum(len(records) for _, records in self._chunks) - self.waiting)

    def take(self) -> list[Chunk]:
        """The oldest records of lanes that nobody has in hand, at most a batch; empty if there is nothing to do now. Give
        them back to `done` afterwards."""
        self._changed.clear()
        now = time.monotonic()
        if self._busy and self.waiting < JOIN_RECORDS and now - self._took_at < PATIENCE_SECONDS:
            return []
        room = self._batch_records
        most_lanes = self._most_lanes()
        taken: list[Chunk] = []
        lanes: set[int] = set()
        kept: deque[Chunk] = deque()
        for partition, records in self._chunks:
            lane = partition.partition
            if not room or lane in self._busy or (lane not in lanes and len(lanes) == most_lanes):
                kept.append((partition, records))
                continue
            if len(records) > room:
                kept.append((partition, records[room:]))
                records = records[:room]
            room -= len(records)
            lanes.add(lane)
            taken.append((partition, records))
        self._chunks = kept
        if taken:
            self._busy |= lanes
            self._took_at = now
        self._count(room - self._batch_records)
        return taken

    def done(self, chunks: Sequence[Chunk]) -> None:
        """They are folded, or given up."""
        self._busy -= {partition.partition for partition, _ in chunks}
        self._changed.set()

    def wake(self) -> None:
        """Let everybody look who waits."""
        self._changed.set()

    async def change(self) -> None:
        """Wait until there may be something to take."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS if self.waiting else None):
                await self._changed.wait()

    def _most_lanes(self) -> int:
        """An equal share of the lanes while there is work for all; fewer where these fill a batch, since the more facts of a
        lane are folded at once, the more of them are about the same people."""
        waiting = len({partition.partition for partition, _ in self._chunks} | self._busy)
        if self.waiting < JOIN_RECORDS:
            return waiting
        return min(-(-waiting // self._workers), -(-waiting * self._batch_records // self.waiting))

    def _count(self, more: int) -> None:
        self.waiting += more
        # Two marks, so that reading does not start and stop with every record; there is work for all at the lower one.
        self.full = self.waiting >= (1 if self.full else 2) * self._batch_records * self._workers
