"""Reads partitions of Kafka without a group: where they end, and what stands in them."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition

from shared.messaging.kafka_client import REQUEST_SECONDS, KafkaSettings, stop_within, unavailable
from shared.messaging.log import Record

POLL_MILLISECONDS = 200


class KafkaReader:
    """One client, used by one caller at a time; after a failure a new one.

    All methods raise LogUnavailable if Kafka does not answer in time.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._one_at_a_time = asyncio.Lock()

    async def end_offsets(self, partitions: Collection[KafkaPartition]) -> Mapping[KafkaPartition, int]:
        async with self._client() as consumer:
            ends: Mapping[KafkaPartition, int] = await consumer.end_offsets(partitions)
            return ends

    async def read(self, where: KafkaPartition, offset: int, end: int, max_records: int) -> Sequence[Record]:
        """At least one record from `offset`, which is below `end`; none if compaction has left none."""
        async with self._client() as consumer:
            if consumer.assignment() != {where}:
                consumer.assign([where])
            consumer.resume(where)
            consumer.seek(where, offset)
            records: Sequence[Record] = []
            while not records and await consumer.position(where) < end:
                found = await consumer.getmany(where, timeout_ms=POLL_MILLISECONDS, max_records=max_records)
                records = found.get(where, [])
            # Otherwise it would go on to wait for more, and the next request would wait behind it.
            consumer.pause(where)
            return records

    async def read_last(self, ends: Mapping[KafkaPartition, int]) -> Mapping[int, Record]:
        """The last record of each of these partitions of one topic."""
        last: dict[int, Record] = {}
        if not ends:
            return last
        async with self._client() as consumer:
            consumer.assign(list(ends))
            for where, end in ends.items():
                consumer.seek(where, end - 1)
            while len(last) < len(ends):
                for where, records in (await consumer.getmany(timeout_ms=POLL_MILLISECONDS)).items():
                    last[where.partition] = records[-1]
            consumer.pause(*ends)
            return last

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer:
            await stop_within(consumer)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[AIOKafkaConsumer]:
        async with self._one_at_a_time:
            try:
                with unavailable():
                    async with asyncio.timeout(REQUEST_SECONDS):
                        yield await self._started()
            except BaseException:
                await self.close()
                raise

    async def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            self._consumer = AIOKafkaConsumer(
                **self._settings.connection,
                enable_auto_commit=False,
                auto_offset_reset="none",
                request_timeout_ms=int(REQUEST_SECONDS * 1000),
                fetch_max_wait_ms=20,
            )
            await self._consumer.start()
        return self._consumer
