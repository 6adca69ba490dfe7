"""One member of a Kafka consumer group, which hands out no record before its partition stands where the reader said."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, OffsetOutOfRangeError

from shared.failpoints import failpoint
from shared.messaging.facts import InboundFact
from shared.messaging.kafka_batches import as_facts
from shared.messaging.kafka_client import (
    CLIENT_ERRORS,
    REQUEST_SECONDS,
    KafkaSettings,
    as_unavailable,
    stop_within,
    unavailable,
)
from shared.messaging.log import (
    LogUnavailable,
    OffsetGone,
    StartAt,
    TopicPartition,
)

REPORT_SECONDS = 1.0

NOT_ASSIGNED = (IllegalStateError, AssertionError)
"""What aiokafka raises for a partition that it does not hold; the latter between losing an assignment and saying so."""

logger = logging.getLogger(__name__)


class KafkaSubscription(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """See `shared.messaging.log.Subscription`.

    aiokafka tells a new assignment to its fetcher before it awaits the listener, and only logs what the listener
    raises. So the listener just notes the assignment; `fetch` asks for the offsets, seeks, and reads those partitions
    only that stand where they should.
    """

    def __init__(self, settings: KafkaSettings, topics: Sequence[str], *, group: str, start_at: StartAt) -> None:
        self._settings = settings
        self._topics = list(topics)
        self._group = group
        self._start_at = start_at
        self._consumer: AIOKafkaConsumer | None = None
        self._assignment: frozenset[TopicPartition] = frozenset()
        self._joined = False
        self._generation = 0
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._changed = asyncio.Event()
        self._moved_at = time.monotonic()
        self._unreported: dict[TopicPartition, int] = {}
        self._report_task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        return self._assignment

    async def fetch(
        self, *, max_records: int, timeout_seconds: float
    ) -> Mapping[TopicPartition, Sequence[InboundFact]]:
        deadline = time.monotonic() + timeout_seconds
        while True:
            consumer = await self._running()
            await self._check_stuck(consumer)
            await self._start_partitions(consumer)
            wanted = [where for where in self._positions if where not in self._paused]
            self._changed.clear()
            if wanted:
                return await self._read(consumer, wanted, max_records, deadline - time.monotonic())
            # getmany without partitions would read all of them, also the paused ones.
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._changed.wait()
            except TimeoutError:
                return {}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if self._consumer and partition in self._positions:
            with contextlib.suppress(*NOT_ASSIGNED):
                self._consumer.seek(KafkaPartition(*partition), offset)
                self._positions[partition] = offset

    def pause(self, partition: TopicPartition) -> None:
        self._paused.add(partition)
        if self._consumer:
            with contextlib.suppress(*NOT_ASSIGNED):
                self._consumer.pause(KafkaPartition(*partition))

    def resume(self, partition: TopicPartition) -> None:
        self._paused.discard(partition)
        self._changed.set()
        if self._consumer:
            with contextlib.suppress(*NOT_ASSIGNED):
                self._consumer.resume(KafkaPartition(*partition))

    async def end_offsets(self) -> Mapping[TopicPartition, int]:
        consumer = await self._running()
        return await self._ends(consumer, self._assignment)

    async def report(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._unreported.update(offsets)
        if self._report_task is None or self._report_task.done():
            self._report_task = asyncio.create_task(self._commit())

    async def close(self) -> None:
        self._closed = True
        if self._report_task:
            self._report_task.cancel()
            await asyncio.gather(self._report_task, return_exceptions=True)
        await self._let_go()

    async def on_partitions_revoked(self, revoked: set[KafkaPartition]) -> None:
        self._forget_assignment()
        await failpoint("consumer.in-revoke")

    async def on_partitions_assigned(self, assigned: set[KafkaPartition]) -> None:
        self._forget_assignment()
        self._joined = True
        self._assignment = frozenset(TopicPartition(*where) for where in assigned)
        self._paused.clear()
        self._moved_at = time.monotonic()
        self._changed.set()

    def _forget_assignment(self) -> None:
        self._generation += 1
        self._joined = False
        self._assignment = frozenset()
        self._positions = {}

    async def _running(self) -> AIOKafkaConsumer:
        if self._closed:
            raise LogUnavailable("this subscription is closed")
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **self._settings.connection,
                group_id=self._group,
                enable_auto_commit=False,
                auto_offset_reset="none",
                value_deserializer=as_facts,
                # Not the default: a member must get the same partition numbers of every topic.
                partition_assignment_strategy=(RangePartitionAssignor,),
                heartbeat_interval_ms=int(self._settings.heartbeat_seconds * 1000),
                session_timeout_ms=int(self._settings.session_timeout_seconds * 1000),
                request_timeout_ms=self._settings.request_timeout_ms,
                # aiokafka does not rejoin for a member that reads nothing for so long: one without partitions, say.
                max_poll_interval_ms=2**31 - 1,
                metadata_max_age_ms=30_000,
                fetch_max_wait_ms=250,
            )
            try:
                with unavailable():
                    async with asyncio.timeout(REQUEST_SECONDS):
                        await consumer.start()
            except BaseException:
                await stop_within(consumer)
                await asyncio.sleep(0.2)  # so that a caller who just calls again does not spin
                raise
            consumer.subscribe(self._topics, listener=self)
            self._consumer = consumer
            self._moved_at = time.monotonic()
        return self._consumer

    async def _let_go(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._forget_assignment()
        if consumer:
            await stop_within(consumer)

    async def _start_partitions(self, consumer: AIOKafkaConsumer) -> None:
        if self._positions or not self._assignment:
            return
        generation = self._generation
        self._check_topics()
        offsets = await self._start_at(self._assignment)
        if generation != self._generation:
            return
        try:
            for where in self._assignment:
                consumer.seek(KafkaPartition(*where), offsets[where])
        except NOT_ASSIGNED:
            return  # the group is being rebalanced: the listener will hear of it
        self._positions = {where: offsets[where] for where in self._assignment}

    def _check_topics(self) -> None:
        """A topic that is gone is left out of the assignment without a word."""
        numbers = {
            topic: {where.partition for where in self._assignment if where.topic == topic} for topic in self._topics
        }
        for topic, found in numbers.items():
            if found != set().union(*numbers.values()):
                raise LogUnavailable(f"topic {topic} is gone, or has other partitions than {', '.join(numbers)}")

    async def _read(
        self, consumer: AIOKafkaConsumer, wanted: Sequence[TopicPartition], max_records: int, seconds: float
    ) -> Mapping[TopicPartition, Sequence[InboundFact]]:
        generation = self._generation
        try:
            # A rebalance lets getmany wait without end.
            async with asyncio.timeout(max(seconds, 0) + 1):
                found = await consumer.getmany(
                    *(KafkaPartition(*where) for where in wanted),
                    timeout_ms=max(int(seconds * 1000), 0),
                    max_records=max_records,
                )
        except TimeoutError:
            return {}
        except CLIENT_ERRORS as error:
            if generation != self._generation:
                return {}
            if isinstance(error, OffsetOutOfRangeError):
                raise OffsetGone(f"Kafka does not hold {error}") from error
            raise as_unavailable(error) from error
        if generation != self._generation:
            # Read under another assignment, maybe from the group's offset before `seek`: not to be trusted.
            return {}
        read: dict[TopicPartition, Sequence[InboundFact]] = {}
        for kafka_partition, records in found.items():
            where = TopicPartition(*kafka_partition)
            self._positions[where] = records[-1].offset + 1
            read[where] = records
        if read:
            self._moved_at = time.monotonic()
        return read

    async def _check_stuck(self, consumer: AIOKafkaConsumer) -> None:
        """Rebuild a consumer that is silent although there is something to read (aiokafka#1154, #1037)."""
        if time.monotonic() - self._moved_at < self._settings.stuck_seconds:
            return
        self._moved_at = time.monotonic()
        wanted = {where: at for where, at in self._positions.items() if where not in self._paused}
        ends = await self._ends(consumer, wanted.keys()) if wanted else {}
        for where, at in wanted.items():
            if at > ends[where]:
                raise OffsetGone(f"{where.topic}/{where.partition} ends at {ends[where]}, before {at}")
        if not self._joined or any(self._positions.get(where) == at < ends[where] for where, at in wanted.items()):
            logger.warning("log.consumer-stuck", extra={"group": self._group})
            await self._let_go()
            raise LogUnavailable("the consumer got nothing although there is something to read; it was rebuilt")

    async def _ends(
        self, consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        with unavailable():
            async with asyncio.timeout(REQUEST_SECONDS):
                ends = await consumer.end_offsets([KafkaPartition(*where) for where in partitions])
        return {TopicPartition(*where): end for where, end in ends.items()}

    async def _commit(self) -> None:
        while self._unreported:
            offsets, self._unreported = self._unreported, {}
            mine = {KafkaPartition(*where): at for where, at in offsets.items() if where in self._assignment}
            if mine and self._consumer:
                with contextlib.suppress(LogUnavailable, *NOT_ASSIGNED), unavailable():
                    async with asyncio.timeout(REQUEST_SECONDS):
                        await self._consumer.commit(mine)
            await asyncio.sleep(REPORT_SECONDS)
