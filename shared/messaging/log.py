"""The log: named topics of partitions, each a growing list of records. `KafkaLog` and `LocalLog` keep these promises.

Promises (one suite holds both to them, `tests/contracts/test_log.py`):

- within a partition, offsets rise and records come in the order in which they were acknowledged;
- a batch is acknowledged whole, and only when it is durable;
- a subscription with a group shares partitions among the group's members: by range, so that a member gets the same
  partition numbers of every topic. During a change two members may both hold one; readers must fence themselves;
- nothing is ever skipped: a subscription starts where it is told to (`start_at`), or fails.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from shared.messaging.facts import InboundFact


class TopicPartition(NamedTuple):
    topic: str
    partition: int


class Record(Protocol):
    """One record as read. Attributes are those of aiokafka's `ConsumerRecord`, so that Kafka's are used as they are."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...
    @property
    def value(self) -> bytes | None: ...


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """One record to write; `value=None` with a key is a tombstone in a compacted topic."""

    key: bytes
    headers: Sequence[tuple[str, bytes]]
    value: bytes | None


class LogUnavailable(Exception):
    """The log did not answer in time, or refused. What was sent may or may not stand in the log."""


class OffsetGone(Exception):
    """A subscription was told to start at an offset that the log does not hold."""


class Publisher(Protocol):
    """Writes batches, one in flight per partition. After any failure it is closed for good: build a new one."""

    async def send(self, batches: Mapping[TopicPartition, Sequence[Outgoing]], *, timeout_seconds: float) -> None:
        """Write each partition's records in order; return when all are durable.

        A partition's records may be split into several record batches; the next is sent only after the one before is
        acknowledged, so what stands in the partition is always a prefix of what was given.

        Raises:
            LogUnavailable: not everything was acknowledged within the time. The publisher is closed.
        """

    async def close(self) -> None: ...


StartAt = Callable[[frozenset[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]
"""Asked for the offsets to start at whenever partitions are assigned."""


class Subscription(Protocol):
    """One member of a group, reading its share of the topics."""

    @property
    def assignment(self) -> frozenset[TopicPartition]: ...

    async def fetch(
        self, *, max_records: int, timeout_seconds: float
    ) -> Mapping[TopicPartition, Sequence[InboundFact]]:
        """What the next records say of the assigned, not paused partitions, at most `max_records` in all; empty after the timeout.

        Raises:
            OffsetGone: a partition's start offset is not in the log (deleted topic, truncated log).
            LogUnavailable: the log cannot be reached; call again.
        """

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read that partition from `offset` at the next fetch."""

    def pause(self, partition: TopicPartition) -> None:
        """Leave that partition out of `fetch` until it is resumed, or assigned anew."""

    def resume(self, partition: TopicPartition) -> None: ...

    async def end_offsets(self) -> Mapping[TopicPartition, int]:
        """For each assigned partition, the offset that the next record will get."""

    async def report(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Tell the log how far the group is, for dashboards only; never read back. Errors are ignored."""

    async def close(self) -> None: ...


class Log(Protocol):
    async def create_topics(self, topics: Sequence[str], *, partitions: int, compacted: bool = False) -> None:
        """Create what is missing, kept for ever (or compacted).

        Raises:
            ValueError: a topic exists with another number of partitions.
        """

    async def publisher(self) -> Publisher: ...

    async def subscribe(self, topics: Sequence[str], *, group: str, start_at: StartAt) -> Subscription: ...

    async def last_records(self, topic: str) -> Mapping[int, Record]:
        """The last record of every partition that has one."""

    async def end_offsets(self, topic: str) -> Mapping[int, int]:
        """For each partition of the topic, the offset that its next record will get."""

    async def read(self, partition: TopicPartition, *, offset: int, max_records: int) -> Sequence[Record]:
        """Up to `max_records` records from `offset`, without a group; empty at the end of the partition."""

    async def close(self) -> None: ...
