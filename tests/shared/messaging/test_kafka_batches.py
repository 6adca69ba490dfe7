"""Facts are read out of record batches as aiokafka and `read_envelopes` would read them, whoever wrote the batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from shared.messaging import kafka_batches
from shared.messaging.cloudevents import read_envelopes
from shared.messaging.facts import InboundFact
from shared.messaging.kafka_batches import as_facts, read_batches
from shared.messaging.log import TopicPartition
from shared.position import START, Position
from tests.support.toy import envelope

WHERE = TopicPartition("toy.events", 3)
GZIP = 1

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True)
class Written:
    key: bytes | None
    value: bytes | None
    headers: Headers


def batch(
    records: Sequence[Written], *, first: int = 0, compression: int = 0, timestamp: int = 1, gap: int = 0
) -> bytes:
    """`gap`: so many records after each one were compacted away."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 24,
    )
    for number, record in enumerate(records):
        builder.append(
            number * (1 + gap),
            timestamp=timestamp + 1000 * number,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
        )
    built = bytearray(builder.build())
    built[:8] = first.to_bytes(8)
    return bytes(built)


def usual(number: int, *, key: bytes = b"ana", value: bytes = b"{}", trace: str | None = None) -> Written:
    position, previous = Position(1, 1000, number), Position(1, 1000, number - 1) if number else START
    return Written(key, value, envelope(position, previous, trace=trace))


def as_aiokafka_reads(data: bytes, *, offset: int = 0) -> list[InboundFact]:
    return read_envelopes(list(fetched(data, offset, None)))


def fetched(data: bytes, offset: int, wanted: Any) -> Any:
    return kafka_batches._Fetched(
        KafkaPartition(*WHERE), kafka_batches._Batches(data), [], offset, None, wanted, True, 0
    )


def facts_of(data: bytes) -> list[InboundFact]:
    return [fact for facts, _ in read_batches(data, WHERE) for fact in facts]


def test_what_the_relay_writes() -> None:
    data = batch([usual(number, value=b"x" * 50 * number) for number in range(100)], first=7)
    facts = facts_of(data)
    assert facts == as_aiokafka_reads(data)
    assert [fact.offset for fact in facts] == list(range(7, 107))
    assert facts[1] == InboundFact(
        "toy.events",
        3,
        8,
        "ana",
        "toy.counted.v1",
        "00000000-0000-7000-8000-000000000001",
        "1-1000-1",
        None,
        b"x" * 50,
        "1-1000-0",
    )


def test_traced_facts_among_others() -> None:
    data = batch([usual(1), usual(2, trace="00-ab"), usual(3)])
    assert [fact.traceparent for fact in facts_of(data)] == [None, "00-ab", None]
    assert facts_of(data) == as_aiokafka_reads(data)


@pytest.mark.parametrize(
    "record",
    [
        usual(1, key="名".encode()),
        usual(1, key=b"k" * 63),
        usual(1, key=b"k" * 64),
        usual(1, key=b"k" * 10_000),
        usual(1, key=b""),
        usual(1, value=b""),
        usual(1, value=b"v" * 63),
        usual(1, value=b"v" * 64),
        usual(1, value=b"v" * 8191),
        usual(1, value=b"v" * 8192),
        usual(1, value=b"v" * 100_000),
        Written(None, b"{}", usual(1).headers),
        Written(b"ana", None, usual(1).headers),
        Written(None, None, []),
        Written(b"k" * 127, None, []),
        Written(b"ana", b"{}", [*usual(1).headers, ("more", b"1")]),
        Written(b"ana", b"{}", usual(1).headers[:-1]),
        Written(b"ana", b"{}", list(reversed(usual(1).headers))),
        Written(b"ana", b"{}", [(name, None) for name, _ in usual(1).headers]),
        Written(b"ana", b"{}", [(name, (value or b"") + b"y" * 64) for name, value in usual(1).headers]),
        Written(b"ana", b"{}", [*usual(1).headers[:4], ("ce_subject", b"\x16ce_position"), *usual(1).headers[5:]]),
    ],
    ids=range(21),
)
def test_any_record_is_read_as_aiokafka_reads_it(record: Written) -> None:
    data = batch([usual(0), record, usual(2)], first=5)
    assert facts_of(data) == as_aiokafka_reads(data, offset=5)
    assert len(facts_of(data)) == 3


HEADERS = st.one_of(
    st.just(usual(1).headers),
    st.lists(
        st.tuples(
            st.sampled_from(["ce_id", "ce_type", "ce_position", "ce_previous", "traceparent", "x", ""]),
            st.none() | st.binary(max_size=100),
        ),
        max_size=12,
    ),
)
RECORDS = st.builds(Written, st.none() | st.binary(max_size=200), st.none() | st.binary(max_size=300), HEADERS)


@given(
    records=st.lists(RECORDS, min_size=1, max_size=20),
    first=st.integers(0, 2**40),
    timestamp=st.integers(0, 2**45),
    compression=st.sampled_from([0, GZIP]),
    gap=st.sampled_from([0, 0, 3]),
)
def test_any_batch_is_read_as_aiokafka_reads_it(
    records: list[Written], first: int, timestamp: int, compression: int, gap: int
) -> None:
    data = batch(records, first=first, timestamp=timestamp, compression=compression, gap=gap)
    assert facts_of(data) == as_aiokafka_reads(data, offset=first)


def test_a_compacted_batch() -> None:
    data = batch([usual(1), usual(2), usual(3)], first=5, gap=3)
    assert [fact.offset for fact in facts_of(data)] == [5, 9, 13]
    assert facts_of(data) == as_aiokafka_reads(data, offset=5)


def test_a_batch_of_more_records_than_two_bytes_count() -> None:
    data = batch([Written(None, None, [])] * 20_000)
    assert facts_of(data) == as_aiokafka_reads(data)


def test_data_that_ends_where_a_size_should_follow() -> None:
    data = batch([usual(0), Written(b"", b"", [("x", b"y" * 100 + b"\x16ce_position")])])
    assert facts_of(data) == as_aiokafka_reads(data)


def test_a_batch_in_the_old_format() -> None:
    builder = LegacyRecordBatchBuilder(magic=1, compression_type=0, batch_size=1 << 20)
    builder.append(0, timestamp=1, key=b"ana", value=b"{}")
    data = bytes(builder.build())
    assert facts_of(data) == as_aiokafka_reads(data)
    assert [fact.value for fact in facts_of(data)] == [b"{}"]


def test_control_batches_are_passed_over() -> None:
    marker = bytearray(batch([Written(b"\0\0\0\1", b"", [])], first=4))
    marker[22] |= 0x20
    marker[17:21] = calc_crc32c(bytes(marker[21:])).to_bytes(4)
    data = bytes(marker) + batch([usual(1)], first=5)
    reading = fetched(data, 4, as_facts)
    assert [fact.offset for fact in reading] == [5]
    assert reading.next_fetch_offset == 6


@pytest.mark.parametrize("compression", [0, GZIP])
def test_a_damaged_batch_is_refused_after_those_before_it(compression: int) -> None:
    damaged = bytearray(batch([usual(1)], first=1, compression=compression))
    damaged[-1] ^= 1
    reading = read_batches(batch([usual(0)]) + bytes(damaged), WHERE)
    assert [fact.offset for fact in next(reading)[0]] == [0]
    with pytest.raises(CorruptRecordException):
        next(reading)


def test_a_batch_that_the_broker_cut_off_is_left_for_the_next_fetch() -> None:
    whole, cut = batch([usual(0)]), batch([usual(1)], first=1)
    for size in (0, 1, 60, 61, len(cut) - 1):
        reading = fetched(whole + cut[:size], 0, as_facts)
        assert [fact.offset for fact in reading] == [0]
        assert reading.next_fetch_offset == 1


def test_a_fetch_begins_within_a_batch() -> None:
    reading = fetched(batch([usual(number) for number in range(10)], first=20), 24, as_facts)
    assert [fact.offset for fact in reading] == [24, 25, 26, 27, 28, 29]
    assert reading.next_fetch_offset == 30


def test_aiokafka_takes_what_stands_in_for_its_classes() -> None:
    """Whoever brings a new aiokafka: read its `_proc_fetch_request`; `tests/contracts/test_log.py` reads through it."""
    made: dict[str, Any] = vars(fetcher)
    assert made["PartitionRecords"] is kafka_batches._Fetched
    assert made["MemoryRecords"] is kafka_batches._Batches
    assert {"PartitionRecords", "MemoryRecords"} <= set(fetcher.Fetcher._proc_fetch_request.__code__.co_names)
