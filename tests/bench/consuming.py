"""One side of the rows `projection` and `mixed`, in a process of its own: read topics to their ends into fresh tables.

Reads a specification from standard input (`side`: `loop` or `scoring`; `bootstrap_servers`, `dsn`, `topics`, `total`),
and writes the seconds to standard output.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import uvloop

from services.scoring.projections import ScoringProjection
from shared.database import open_writer
from shared.lifecycle import spare_collector
from shared.messaging.consumer import Consumer
from shared.messaging.facts import LaneFacts
from shared.messaging.kafka import KafkaLog
from shared.messaging.log import Log
from tests.bench import loop
from tests.bench.topics import PARTITIONS

MOST_SECONDS = 300


class _Watched(ScoringProjection):
    """Listens to some of the topics, and counts the facts it has folded, committed or not."""

    def __init__(self, topics: Sequence[str]) -> None:
        super().__init__()
        self.topics = topics
        self.folded = 0

    async def apply(self, connection: Any, lanes: Sequence[LaneFacts]) -> None:
        await super().apply(connection, lanes)
        self.folded += sum(len(lane.facts) for lane in lanes)


class _Timed:
    """The log, or a subscription to it, that notes when the first records came."""

    def __init__(self, inner: Any, first: list[float]) -> None:
        self._inner = inner
        self._first = first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def subscribe(self, topics: Sequence[str], **options: Any) -> Any:
        return _Timed(await self._inner.subscribe(topics, **options), self._first)

    async def fetch(self, **limits: Any) -> Any:
        fetched = await self._inner.fetch(**limits)
        if fetched and not self._first:
            self._first.append(time.perf_counter())
        return fetched


async def consume(dsn: str, log: Log, topics: Sequence[str], total: int) -> float:
    """Run the real consumer; the seconds from the first records fetched to the commit of the last."""
    pool = await open_writer(dsn, name="bench", size=4)
    read = "select coalesce(sum(next_offset), 0) from lane_topics"
    through = await pool.fetchval(read) + total
    first: list[float] = []
    moved, stop = asyncio.Event(), asyncio.Event()
    projection = _Watched(topics)
    timed: Any = _Timed(log, first)
    consumer = Consumer(projection, pool, timed, service="scoring", partitions=PARTITIONS, advanced=moved.set)
    running = asyncio.create_task(consumer.run(stop))
    try:
        async with asyncio.timeout(MOST_SECONDS):
            while projection.folded < total or await pool.fetchval(read) < through:
                await moved.wait()
                moved.clear()
        seconds = time.perf_counter() - first[0]
        assert await pool.fetchval(read) == through
        return seconds
    finally:
        stop.set()
        await running
        await pool.close()


async def main() -> None:
    spec = json.load(sys.stdin)
    total, topics = spec["total"], spec["topics"]
    spare_collector()  # as every role does at its start; the loop gains by it too
    if spec["side"] == "loop":
        seconds = await loop.run(
            spec["bootstrap_servers"],
            spec["dsn"],
            topics,
            partitions=PARTITIONS,
            total=total,
            posts_only=len(topics) == 1,
        )
    else:
        log = await KafkaLog.open(spec["bootstrap_servers"])
        seconds = await consume(spec["dsn"], log, topics, total)
        await log.close()
    json.dump(seconds, sys.stdout)


if __name__ == "__main__":
    uvloop.run(main())
