"""Reads a projection's topics and keeps its lanes folding through every trouble of log and database."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shared.database import Pool
from shared.failpoints import failpoint
from shared.messaging.backlog import Backlog
from shared.messaging.facts import Projection
from shared.messaging.lag import Lag
from shared.messaging.lanes import Chunk, Folded, Lanes
from shared.messaging.log import Log, LogUnavailable, Subscription, TopicPartition
from shared.observability import metrics

logger = logging.getLogger(__name__)

FETCH_SECONDS = 0.5
FETCH_RECORDS = 1_000
"""At once, at most: so few that they are still in the processor's caches when their envelopes are read."""
WATCH_SECONDS = 1.0
STOP_SECONDS = 3.0
HALT_RETRY_SECONDS = 5.0
"""How often a halted partition is tried again: an operator may have accepted its epoch, or published it anew."""
TROUBLE_SECONDS = 3.0
"""Trouble that lasts longer is a reason not to be ready."""


@dataclass
class _Halted:
    """A partition that cannot be read on from `next_offset`. `retry_at` is None while it is being tried again."""

    reason: str
    next_offset: int
    for_good: bool
    retry_at: float | None


class Consumer:
    """One member of the projection's group. Any number may run; the lanes' locks keep them from harm.

    Args:
        service: whose metrics these are.
        partitions: of every topic; topics that are missing are created with so many.
        workers: transactions at once, while much waits. One folds while PostgreSQL works for the others.
        batch_records: records in one transaction, at most.
        advanced: called after every commit.
    """

    def __init__(
        self,
        projection: Projection,
        pool: Pool,
        log: Log,
        *,
        service: str,
        partitions: int,
        workers: int = 3,
        batch_records: int = 10_000,
        advanced: Callable[[], None] = lambda: None,
    ) -> None:
        self._projection = projection
        self._pool = pool
        self._log = log
        self._labels = (service, projection.consumer)
        self._partitions = partitions
        self._lanes = Lanes(projection, pool)
        self._workers = workers
        self._backlog = Backlog(workers=workers, batch_records=batch_records)
        self._fetch_records = min(FETCH_RECORDS, batch_records)
        self._advanced = advanced
        self._lag = Lag()
        self._halts: dict[TopicPartition, _Halted] = {}
        self._troubles: dict[str, tuple[float, str]] = {"log": (0.0, "the log was not reached yet")}
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._paused: set[TopicPartition] = set()
        self._unreported: dict[TopicPartition, int] = {}
        self._subscription: Subscription | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`; then finish what is being folded, and leave the group, within five seconds."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._read_log(stop)),
                group.create_task(self._watch(stop)),
                *(group.create_task(self._work(number, stop)) for number in range(self._workers)),
            ]
            await stop.wait()
            self._backlog.wake()
            _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()

    def not_ready(self) -> list[str]:
        """Reasons, as sentences for an operator."""
        latest = time.monotonic() - TROUBLE_SECONDS
        troubles = [f"{where}: {what}" for where, (since, what) in self._troubles.items() if since < latest]
        return troubles + [halted.reason for halted in self._halts.values() if halted.for_good]

    def stalled(self, seconds: float) -> str | None:
        """Why this consumer counts as dead: records wait, and none was folded for so long. Halted partitions do not
        count: a restart would not help them.
        """
        halted = [partition for partition, halt in self._halts.items() if halt.for_good]
        return self._lag.stalled(seconds, now=time.monotonic(), but=halted)

    async def _read_log(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._log.create_topics(self._projection.topics, partitions=self._partitions)
                subscription = await self._log.subscribe(
                    self._projection.topics, group=self._projection.consumer, start_at=self._start_at
                )
                self._subscription = subscription
                try:
                    await self._fetch(subscription, stop)
                finally:
                    self._subscription = None
                    self._keep(frozenset())
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(STOP_SECONDS):
                            await subscription.close()
            except Exception as error:  # whatever it is, reading must start anew
                self._in_trouble("log", error)
                await _wait(stop, 1.0)

    async def _fetch(self, subscription: Subscription, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._steer(subscription)
            # Paused partitions wait for the workers, who have enough to do meanwhile.
            timeout_seconds = FETCH_SECONDS / 10 if self._paused else FETCH_SECONDS
            try:
                fetched = await subscription.fetch(max_records=self._fetch_records, timeout_seconds=timeout_seconds)
            except LogUnavailable as error:
                self._in_trouble("log", error)
                await _wait(stop, 0.5)
                continue
            self._troubles.pop("log", None)
            if fetched:
                await failpoint("consumer.after-fetch")
            for partition, facts in fetched.items():
                halted = self._halts.get(partition)
                if halted is None or halted.retry_at is None:
                    self._backlog.put((partition, facts))
            await asyncio.sleep(0)  # the client's buffer may hold so much that workers would wait long for an answer

    def _steer(self, subscription: Subscription) -> None:
        """Seek and pause. Done between two fetches only, so that what a fetch returns fits what was asked for."""
        if subscription.assignment != self._assigned:
            self._keep(subscription.assignment)
        now = time.monotonic()
        for partition in self._assigned:
            halted = self._halts.get(partition)
            if halted is not None and halted.retry_at is not None and halted.retry_at <= now:
                subscription.seek(partition, halted.next_offset)
                halted.retry_at = None
            pause = self._backlog.full or (halted is not None and halted.retry_at is not None)
            if pause and partition not in self._paused:
                subscription.pause(partition)
                self._paused.add(partition)
            elif partition in self._paused and not pause:
                subscription.resume(partition)
                self._paused.discard(partition)

    async def _start_at(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        offsets = await self._lanes.next_offsets(partitions)
        self._backlog.drop(partitions)
        self._paused -= partitions
        self._lag.start(offsets, now=time.monotonic())
        return offsets

    def _keep(self, assignment: frozenset[TopicPartition]) -> None:
        """Forget what others read now."""
        lost = self._assigned - assignment
        self._assigned = assignment
        self._backlog.drop(lost)
        self._paused -= lost
        for partition in lost:
            self._halts.pop(partition, None)
            self._unreported.pop(partition, None)
        self._lag.keep(assignment)
        self._lanes.forget({partition.partition for partition in lost})

    async def _work(self, number: int, stop: asyncio.Event) -> None:
        while not stop.is_set():
            chunks = self._backlog.take()
            if not chunks:
                await self._backlog.change()
                continue
            try:
                await self._fold(f"worker {number}", chunks, stop)
            finally:
                self._backlog.done(chunks)

    async def _fold(self, name: str, chunks: Sequence[Chunk], stop: asyncio.Event) -> None:
        """Fold and settle; as long as it fails, again, the whole batch: no trouble that passes may cost a fact."""
        delay_seconds = 0.02
        while not stop.is_set():
            try:
                folded = await self._lanes.fold(chunks)
            except Exception as error:  # a mistake in the fold must not cost a fact either
                self._in_trouble(name, error)
                await _wait(stop, delay_seconds * random.uniform(0.5, 1.5))
                delay_seconds = min(2 * delay_seconds, 2.0)
            else:
                self._troubles.pop(name, None)
                self._settle(folded)
                self._advanced()
                return

    def _settle(self, folded: Folded) -> None:
        now = time.monotonic()
        self._lag.folded(folded.next_offsets, now=now)
        self._unreported |= folded.next_offsets
        for partition, next_offset in folded.next_offsets.items():
            known = self._halts.get(partition)
            halt = folded.halts.get(partition)
            if halt is None or partition not in self._assigned:
                if known is not None and next_offset > known.next_offset:
                    del self._halts[partition]
                continue
            # What the client skipped comes with the next fetch from the right place; what the log lacks does not.
            for_good = known is not None and known.next_offset == next_offset
            self._halts[partition] = _Halted(
                halt.reason, next_offset, for_good, now + HALT_RETRY_SECONDS if for_good else now
            )
            self._backlog.drop({partition})
            if for_good and not (known and known.for_good):
                logger.error("consumer.halted", extra={"reason": halt.reason, "offset": halt.offset})
        if folded.strangers:
            logger.warning("consumer.strangers", extra={"records": folded.strangers})

    async def _watch(self, stop: asyncio.Event) -> None:
        """Measure lag and parked keys, and tell the log how far the group is."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(5.0):
                    await self._measure()
            except Exception as error:  # measuring must not stop the consumer
                logger.info("consumer.not-measured", extra={"error": repr(error)})
            await _wait(stop, WATCH_SECONDS)

    async def _measure(self) -> None:
        if (subscription := self._subscription) is not None and subscription.assignment:
            self._lag.seen(await subscription.end_offsets(), now=time.monotonic())
            if unreported := self._unreported:
                self._unreported = {}
                await failpoint("consumer.before-advisory-commit")
                await subscription.report(unreported)
        metrics.PROJECTION_LAG_EVENTS.labels(*self._labels).set(self._lag.events())
        metrics.PROJECTION_LAG_SECONDS.labels(*self._labels).set(self._lag.seconds(now=time.monotonic()))
        parked = await self._pool.fetchval(
            "select count(*) from dead_letters where consumer = $1 and reason is not null", self._projection.consumer
        )
        metrics.PARKED_KEYS.labels(*self._labels).set(parked)

    def _in_trouble(self, where: str, error: Exception) -> None:
        since, _ = self._troubles.get(where, (time.monotonic(), ""))
        self._troubles[where] = (since, f"{type(error).__name__}: {error}")
        logger.warning("consumer.trouble", extra={"where": where, "error": repr(error)})


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
