"""Reads facts straight out of Kafka's record batches.

aiokafka makes of a record one object per header, per name and per value, then a record, then a tuple. That costs more
than folding the fact, and consumers look at five of ten headers. So here the bytes of a batch become facts at once. What
our relay does not write so (batches that are compressed, compacted or in an old format, other headers) is read the long
way.

Format: https://kafka.apache.org/documentation/#recordbatch. Numbers in records are zigzag varints.
"""

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from shared.messaging.cloudevents import fact_of
from shared.messaging.facts import InboundFact
from shared.messaging.log import TopicPartition

_BEGINNING = Struct("!qiib")
"""Of a batch: base offset, length from after itself, epoch of the leader, magic."""

_REST = Struct("!Ihi30xi")
"""Checksum, attributes, last offset delta, number of records; between them timestamps and the producer."""

_AFTER_LENGTH = 12
_AFTER_CHECKSUM = 21
_RECORDS = 61
_CONTROL = 0x20
_COMPRESSED_OR_CONTROL = 0x07 | _CONTROL

# The headers as the relay writes them without a trace: so many, in this order, each name and value after its size. Only
# the first three and the last two are read.
_FIRST = "\x14\x1cce_specversion\x061.0\x0ace_id\x48"
_ID = 36
_UP_TO_TYPE = len(_FIRST) + _ID
_TYPE = "\x0ece_type"
_TYPED = len(_TYPE) + 1
_POSITION = "\x16ce_position"
_PREVIOUS = "\x16ce_previous"
_NAMED = len(_POSITION) + 1


def as_facts(value: bytes) -> bytes:
    """Given to aiokafka's consumer as `value_deserializer`, this makes its `getmany` return facts. It is never called."""
    raise RuntimeError("aiokafka has read a record by itself: what stands in for its classes is not in its place")


def read_batches(data: bytes, where: TopicPartition) -> Iterator[tuple[Sequence[InboundFact], int]]:
    """The facts of each whole batch in `data`, and the offset after it.

    Raises:
        CorruptRecordException: a batch is not what its checksum says.
    """
    text = data.decode("latin-1")
    facts: Sequence[InboundFact]
    at = 0
    while len(data) - at >= _BEGINNING.size:
        base, length, _, magic = _BEGINNING.unpack_from(data, at)
        end = at + _AFTER_LENGTH + length
        if end > len(data):
            return  # the broker cuts off what has no room in its answer
        rest = at + _BEGINNING.size
        checksum, attributes, last, count = _REST.unpack_from(data, rest) if magic == 2 else (0, 0, 0, 0)
        if magic != 2 or attributes & _COMPRESSED_OR_CONTROL or count != last + 1:
            yield _read_the_long_way(data[at:end], where)
        elif calc_crc32c(memoryview(data)[at + _AFTER_CHECKSUM : end]) != checksum:
            raise CorruptRecordException(f"{where.topic}/{where.partition}: the batch at {base} has another checksum")
        else:
            try:
                facts, after = _read_records(data, text, at + _RECORDS, base, count, where), base + last + 1
            except IndexError:  # sizes that are not read in place led out of the data
                facts, after = _read_the_long_way(data[at:end], where)
            yield facts, after
        at = end


def _read_the_long_way(data: bytes, where: TopicPartition) -> tuple[Sequence[InboundFact], int]:
    batch = MemoryRecords(data).next_batch()
    if not batch.validate_crc():
        raise CorruptRecordException(f"{where.topic}/{where.partition}: a batch has another checksum")
    if batch.is_control_batch:
        return [], batch.next_offset
    facts = [fact_of(*where, record.offset, record.key, record.headers, record.value) for record in batch]
    return facts, batch.next_offset


def _read_records(data: bytes, text: str, at: int, base: int, count: int, where: TopicPartition) -> list[InboundFact]:
    """The records of one batch without gaps, from `at`. `text` is `data`, a character for a byte: what is cut out of it
    need not be decoded. Sizes are read in place, as numbers of one or two bytes, since a call costs more than the reading.
    Where they are others, the headers are not found in their places."""
    topic, partition = where
    facts: list[InboundFact] = []
    add, starts, last_of = facts.append, text.startswith, text.rfind
    last = ""
    for offset in range(base, base + count):
        begin = at
        size = data[at]
        at += 1
        if size > 127:
            size = size & 127 | data[at] << 7
            at += 1
        end = at + (size >> 1)
        at += 1  # attributes, of which there are none
        while data[at] > 127:
            at += 1  # the timestamp
        at += 3 if data[at + 1] > 127 else 2  # the offset
        key_at = at + 1
        key_end = value_at = key_at + (data[at] >> 1)
        size = data[value_at]
        value_at += 1
        if size > 127:
            size = size & 127 | data[value_at] << 7
            value_at += 1
        headers_at = value_at + (size >> 1)
        type_at = headers_at + _UP_TO_TYPE
        position_at = last_of(_POSITION, type_at, end) + _NAMED
        previous_at = position_at + (data[position_at - 1] >> 1) + _NAMED
        if not (
            starts(_FIRST, headers_at)
            and starts(_TYPE, type_at)
            and starts(_PREVIOUS, previous_at - _NAMED)
            and previous_at + (data[previous_at - 1] >> 1) == end
        ):
            fact, at = _read_record(data, begin, base, where)
            add(fact)
            last = ""
            continue
        type_at += _TYPED
        key = text[key_at:key_end]
        previous = text[previous_at:end]
        if previous == last:
            previous = last  # one text less to keep
        last = text[position_at : previous_at - _NAMED]
        add(
            InboundFact(
                topic,
                partition,
                offset,
                key if key.isascii() else data[key_at:key_end].decode("utf-8", "replace"),
                text[type_at : type_at + (data[type_at - 1] >> 1)],
                text[type_at - _TYPED - _ID : type_at - _TYPED],
                last,
                None,
                data[value_at:headers_at],
                previous,
            )
        )
        at = end
    return facts


def _read_record(data: bytes, at: int, base: int, where: TopicPartition) -> tuple[InboundFact, int]:
    """Any record, and where the next one begins."""
    size, at = _number(data, at)
    end = at + size
    _, at = _number(data, at + 1)
    delta, at = _number(data, at)
    key, at = _bytes(data, at)
    value, at = _bytes(data, at)
    count, at = _number(data, at)
    headers = []
    for _ in range(count):
        name, at = _bytes(data, at)
        content, at = _bytes(data, at)
        headers.append(((name or b"").decode("utf-8", "replace"), content or b""))
    return fact_of(*where, base + delta, key, headers, value), end


def _bytes(data: bytes, at: int) -> tuple[bytes | None, int]:
    size, at = _number(data, at)
    return (None, at) if size < 0 else (data[at : at + size], at + size)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint, and where the next field begins."""
    byte = data[at]
    if byte < 128:
        return (byte >> 1) ^ -(byte & 1), at + 1
    value, shift = byte & 127, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 127) << shift
        if byte < 128:
            return (value >> 1) ^ -(value & 1), at + 1
        shift += 7


class _Batches:
    """Stands in aiokafka for `MemoryRecords`, and keeps the bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._records = MemoryRecords(data)
        self.has_next = self._records.has_next
        self.next_batch = self._records.next_batch
        self.size_in_bytes = self._records.size_in_bytes


class _Fetched(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """Stands in aiokafka for `PartitionRecords`, and gives facts to who wants them."""

    next_fetch_offset: int

    def __iter__(self) -> Iterator[Any]:
        iterator: Iterator[Any] = self._records_iterator  # itself, which spares a call for every record
        return iterator

    def _unpack_records(self) -> Iterator[Any]:
        if self._value_deserializer is not as_facts:
            yield from super()._unpack_records()
            return
        for facts, next_offset in read_batches(self._records.data, TopicPartition(*self._tp)):
            for fact in facts:
                if fact.offset >= self.next_fetch_offset:  # a fetch begins with the whole batch that holds its offset
                    self.next_fetch_offset = fact.offset + 1
                    yield fact
            self.next_fetch_offset = next_offset


# aiokafka has no place to plug this in; `tests/shared/messaging/test_kafka_batches.py` notices when it changes.
fetcher.MemoryRecords = _Batches
fetcher.PartitionRecords = _Fetched
