"""What is new in a partition, what repeats, and where facts are missing."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.messaging.chain import Chain, Halt
from shared.messaging.cloudevents import read_envelopes
from shared.messaging.facts import InboundFact
from shared.position import START, Position
from tests.support.toy import OTHER_TYPE, TYPE, ToyRecord, Writer, value

TYPES = {TYPE}


def read(chain: Chain, records: Sequence[ToyRecord]) -> tuple[list[str], Halt | None]:
    facts, halt = chain.read(read_envelopes(records), TYPES)
    return [fact.key for fact in facts], halt


def test_a_fact_carries_what_the_record_says() -> None:
    writer = Writer("toy.events", 3, offset=7)
    record = writer.write("ana", trace="00-" + "1" * 32 + "-" + "2" * 16 + "-01")
    facts, halt = Chain().read(read_envelopes([record]), TYPES)
    assert halt is None
    assert facts == [
        InboundFact(
            topic="toy.events",
            partition=3,
            offset=7,
            key="ana",
            type=TYPE,
            event_id="00000000-0000-7000-8000-000000000001",
            position="1-1001-1",
            traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01",
            value=b'{"n": 1}',
            previous="0-0-0",
        )
    ]


def test_other_types_advance_the_chain_only() -> None:
    writer = Writer("toy.events", 0)
    chain = Chain()
    assert read(chain, [writer.write("ana", kind=OTHER_TYPE), writer.write("bob")]) == (["bob"], None)
    assert (chain.next_offset, chain.position) == (2, Position(1, 1002, 2))


def test_records_below_the_next_offset_are_dropped() -> None:
    writer = Writer("toy.events", 0)
    records = [writer.write("ana"), writer.write("bob")]
    chain = Chain()
    read(chain, records)
    assert read(chain, records[:1]) == ([], None)
    assert chain.next_offset == 2


def test_a_relays_repeats_are_dropped_within_one_fetch() -> None:
    writer = Writer("toy.events", 0)
    first, second = writer.write("ana"), writer.write("bob")
    records = [first, second, writer.repeat(first), writer.repeat(second), writer.write("cyd")]
    chain = Chain()
    assert read(chain, records) == (["ana", "bob", "cyd"], None)
    assert chain.next_offset == 5


def test_positions_are_compared_as_a_whole() -> None:
    """A later transaction may have drawn a lower sequence number."""
    writer = Writer("toy.events", 0)
    first = writer.write_at(Position(1, 10, 500), START, "ana", value())
    second = writer.write_at(Position(1, 11, 400), Position(1, 10, 500), "bob", value())
    chain = Chain()
    assert read(chain, [first, second]) == (["ana", "bob"], None)
    assert read(chain, [writer.repeat(first)]) == ([], None)
    # The same, where the bytes of `previous` do not spare the comparison.
    chain = Chain(next_offset=1, position=Position(1, 10, 500), accepted_epoch=0)
    assert read(chain, [writer.repeat(first), writer.repeat(second)]) == (["bob"], None)


def test_a_missing_fact_stops_before_it_and_is_named() -> None:
    writer = Writer("toy.events", 4)
    records = [writer.write("ana"), writer.write("bob"), writer.write("cyd")]
    chain = Chain()
    keys, halt = read(chain, [records[0], records[2]])
    assert keys == ["ana"]
    assert halt == Halt(
        2, "toy.events, partition 4: the facts after 1-1001-1 up to 1-1002-2 are missing before 1-1003-3."
    )
    assert (chain.next_offset, chain.position) == (1, Position(1, 1001, 1))
    assert read(chain, records) == (["bob", "cyd"], None)


def test_a_partition_that_does_not_begin_at_its_beginning_stops() -> None:
    writer = Writer("toy.events", 0)
    writer.write("ana")
    keys, halt = read(Chain(), [writer.write("bob")])
    assert keys == []
    assert halt is not None
    assert "after 0-0-0 up to 1-1001-1" in halt.reason


def test_a_first_fact_may_be_of_any_epoch() -> None:
    writer = Writer("toy.events", 0, epoch=7)
    assert read(Chain(), [writer.write("ana")]) == (["ana"], None)


def test_a_higher_epoch_stops_even_where_the_chain_is_whole() -> None:
    writer = Writer("toy.events", 0)
    chain = Chain()
    read(chain, [writer.write("ana")])
    risen = writer.write_at(Position(2, 5, 5), Position(1, 1001, 1), "bob", value())
    keys, halt = read(chain, [risen])
    assert keys == []
    assert halt is not None
    assert "epoch 2 follows epoch 1" in halt.reason


def test_an_accepted_epoch_goes_on_after_the_restored_point() -> None:
    """What was read beyond the restored point is void; the new epoch goes on from before it, with lower numbers."""
    writer = Writer("toy.events", 0)
    records = [writer.write("ana"), writer.write("void")]
    chain = Chain(accepted_epoch=2)
    read(chain, records)
    after = writer.write_at(Position(2, 900, 2), Position(1, 1001, 1), "bob", value())
    late = writer.write_at(Position(1, 1003, 3), Position(1, 1002, 2), "zombie relay", value())
    then = writer.write_at(Position(2, 901, 3), Position(2, 900, 2), "cyd", value())
    assert read(chain, [after, late, then]) == (["bob", "cyd"], None)


def test_an_accepted_epoch_still_may_not_leave_facts_out() -> None:
    writer = Writer("toy.events", 0)
    chain = Chain(accepted_epoch=2)
    read(chain, [writer.write("ana")])
    keys, halt = read(chain, [writer.write_at(Position(2, 7, 7), Position(2, 6, 6), "bob", value())])
    assert keys == []
    assert halt is not None
    assert "up to 2-6-6 are missing" in halt.reason


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("ce_position", b"1-1-1")],
        [("ce_position", None), ("ce_previous", None)],
        [("ce_position", b"one"), ("ce_previous", b"0-0-0")],
        [("ce_position", b"\xff"), ("ce_previous", b"0-0-0")],
    ],
)
def test_what_no_relay_wrote_is_no_fact(headers: list[tuple[str, Any]]) -> None:
    writer = Writer("toy.events", 0)
    first = writer.write("ana")
    stranger = ToyRecord("toy.events", 0, 1, b"eve", headers, b"{}")
    writer.offset = 2
    chain = Chain()
    assert read(chain, [first, stranger, writer.write("bob")]) == (["ana", "bob"], None)
    assert (chain.strangers, chain.next_offset) == (1, 3)


@given(
    facts=st.integers(1, 10),
    runs=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 10)), max_size=5),
    fetches=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20)), max_size=5),
)
def test_any_delivery_of_a_gapless_prefix_with_repeats_gives_each_fact_once(
    facts: int, runs: list[tuple[int, int]], fetches: list[tuple[int, int]]
) -> None:
    """A relay may resume from any earlier point any number of times; the client may deliver any pieces again."""
    writer = Writer("toy.events", 0)
    originals = [writer.write(f"k{number}") for number in range(facts)]
    writer.offset, log = 0, list[ToyRecord]()
    sent = 0
    for start, length in [*runs, (facts, facts), (0, facts)]:
        # Each run starts at its relay's checkpoint, at or before what the partition holds.
        run = originals[min(start, sent) :][:length]
        log += [writer.repeat(record) for record in run]
        sent = max(sent, min(start, sent) + len(run))
    chain = Chain()
    seen: list[str] = []
    position = 0
    for back, length in [*fetches, (len(log), len(log))]:
        end = min(position + length, len(log))
        keys, halt = read(chain, log[min(back, position) : end])
        assert halt is None
        seen += keys
        position = end
    assert seen == [f"k{number}" for number in range(facts)]
