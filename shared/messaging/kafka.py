"""The log on Apache Kafka, through aiokafka."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from shared.messaging.kafka_client import (
    REQUEST_SECONDS,
    KafkaSettings,
    stop_within,
    unavailable,
)
from shared.messaging.kafka_groups import KafkaSubscription
from shared.messaging.kafka_reader import KafkaReader
from shared.messaging.log import (
    LogUnavailable,
    Outgoing,
    Record,
    StartAt,
    TopicPartition,
)

BATCH_BYTES = 512 * 1024
"""The default of 16 KiB holds some 49 records; with one batch in flight per partition that would be the limit."""

_COMPACTED = {"cleanup.policy": "compact", "segment.ms": "300000"}
"""Only what is no longer written to is compacted: a segment of 1 GB or a week, by default."""

Result = TypeVar("Result")


class KafkaLog:
    """See `shared.messaging.log.Log`."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        # Two, since a read changes what topics its client knows, and its requests wait for those before them.
        self._asker = KafkaReader(settings)
        self._reader = KafkaReader(settings)
        self._partitions: dict[str, int] = {}

    @classmethod
    async def open(
        cls,
        bootstrap_servers: str,
        *,
        security: Mapping[str, Any] | None = None,
        client_id: str = "qunli",
        replication_factor: int = -1,
        heartbeat_seconds: float = 1.0,
        session_timeout_seconds: float = 10.0,
        stuck_seconds: float = 15.0,
    ) -> Self:
        """Describe how to reach the cluster; nothing connects before it is needed. See `KafkaSettings`."""
        return cls(
            KafkaSettings(
                bootstrap_servers=bootstrap_servers,
                client_id=client_id,
                security=security or {},
                replication_factor=replication_factor,
                heartbeat_seconds=heartbeat_seconds,
                session_timeout_seconds=session_timeout_seconds,
                stuck_seconds=stuck_seconds,
            )
        )

    async def close(self) -> None:
        await self._asker.close()
        await self._reader.close()

    async def create_topics(self, topics: Sequence[str], *, partitions: int, compacted: bool = False) -> None:
        kept = _COMPACTED if compacted else {"retention.ms": "-1", "retention.bytes": "-1"}
        new = [NewTopic(name, partitions, 1, topic_configs=kept) for name in sorted(topics)]
        for topic in new:
            topic.replication_factor = self._settings.replication_factor  # the constructor refuses -1

        async def create(admin: AIOKafkaAdminClient) -> None:
            response = await admin.create_topics(new)
            for _, code, *message in response.topic_errors:
                error = for_code(code)
                if code and error is not TopicAlreadyExistsError:
                    raise error(*message)
            # A fresh topic has no leaders for a moment.
            while not all(self._led(topic) for topic in await admin.describe_topics(list(topics))):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

        await self._administer(create)
        for name in topics:
            if (found := await self._partitions_of(name)) != partitions:
                raise ValueError(f"topic {name} has {found} partitions, not {partitions}")

    async def publisher(self) -> "KafkaPublisher":
        producer = AIOKafkaProducer(
            **self._settings.connection,
            enable_idempotence=True,
            acks="all",
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=int(REQUEST_SECONDS * 1000),
        )
        try:
            with unavailable():
                async with asyncio.timeout(REQUEST_SECONDS):
                    await producer.start()
        except BaseException:
            await stop_within(producer)
            raise
        return KafkaPublisher(producer)

    async def subscribe(self, topics: Sequence[str], *, group: str, start_at: StartAt) -> KafkaSubscription:
        return KafkaSubscription(self._settings, topics, group=group, start_at=start_at)

    async def last_records(self, topic: str) -> Mapping[int, Record]:
        ends = await self.end_offsets(topic)
        return await self._reader.read_last({KafkaPartition(topic, number): end for number, end in ends.items() if end})

    async def end_offsets(self, topic: str) -> Mapping[int, int]:
        partitions = [KafkaPartition(topic, number) for number in range(await self._partitions_of(topic))]
        return {where.partition: end for where, end in (await self._asker.end_offsets(partitions)).items()}

    async def read(self, partition: TopicPartition, *, offset: int, max_records: int) -> Sequence[Record]:
        where = KafkaPartition(*partition)
        end = (await self._asker.end_offsets([where]))[where]
        return await self._reader.read(where, offset, end, max_records) if offset < end else []

    async def _partitions_of(self, topic: str) -> int:
        if topic not in self._partitions:

            async def describe(admin: AIOKafkaAdminClient) -> int:
                [found] = await admin.describe_topics([topic])
                if found["error_code"]:
                    raise for_code(found["error_code"])(topic)
                return len(found["partitions"])

            self._partitions[topic] = await self._administer(describe)
        return self._partitions[topic]

    @staticmethod
    def _led(topic: Mapping[str, Any]) -> bool:
        return bool(topic["partitions"]) and all(partition["leader"] >= 0 for partition in topic["partitions"])

    async def _administer(self, work: Callable[[AIOKafkaAdminClient], Awaitable[Result]]) -> Result:
        admin = AIOKafkaAdminClient(**self._settings.connection, request_timeout_ms=int(REQUEST_SECONDS * 1000))
        try:
            with unavailable():
                async with asyncio.timeout(REQUEST_SECONDS):
                    await admin.start()
                    return await work(admin)
        finally:
            await admin.close()


class KafkaPublisher:
    """See `shared.messaging.log.Publisher`."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._one_at_a_time = asyncio.Lock()
        self._closed = False

    async def send(self, batches: Mapping[TopicPartition, Sequence[Outgoing]], *, timeout_seconds: float) -> None:
        async with self._one_at_a_time:
            if self._closed:
                raise LogUnavailable("this publisher is closed")
            self._closed = True
            try:
                with unavailable():
                    async with asyncio.timeout(timeout_seconds):
                        await self._send_in_turn(batches)
            except BaseException:
                await self._abandon()
                raise
            self._closed = False

    async def _send_in_turn(self, batches: Mapping[TopicPartition, Sequence[Outgoing]]) -> None:
        """Of every partition one batch, then, when all these are acknowledged, of every partition the next."""
        sent = dict.fromkeys(batches, 0)
        while sent:
            futures = []
            for where, start in list(sent.items()):
                batch = self._producer.create_batch()
                end = start
                for record in batches[where][start:]:
                    # The first record of a batch is taken whatever its size.
                    if batch.append(key=record.key, value=record.value, headers=record.headers, timestamp=None) is None:
                        break
                    end += 1
                if end < len(batches[where]):
                    sent[where] = end
                else:
                    del sent[where]
                if end > start:
                    batch.close()
                    futures.append(await self._producer.send_batch(batch, where.topic, partition=where.partition))
            await asyncio.gather(*futures)

    async def _abandon(self) -> None:
        """Make sure that nothing of this producer is sent later. An idempotent one would try for ever (aiokafka#1101)."""
        self._closed = True
        sender = self._producer._sender.sender_task
        if sender is not None:
            sender.cancel()
            # It first waits for its request. Without connections that ends soon.
            if not (await asyncio.wait({sender}, timeout=0.5))[0]:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(1):
                        await self._producer.client.close()
                if not (await asyncio.wait({sender}, timeout=1))[0]:
                    sender.cancel()
                    await asyncio.wait({sender}, timeout=1)
        accumulator = self._producer._message_accumulator
        accumulator._batches.clear()
        accumulator._pending_batches.clear()
        await stop_within(self._producer)

    async def close(self) -> None:
        async with self._one_at_a_time:
            if not self._closed:
                self._closed = True
                await stop_within(self._producer)
