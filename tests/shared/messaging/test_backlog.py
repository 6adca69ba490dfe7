"""How waiting records are handed out."""

import asyncio
from typing import Any

import pytest

from shared.messaging import backlog as module
from shared.messaging.backlog import JOIN_RECORDS, Backlog
from shared.messaging.log import TopicPartition

RECORDS: list[Any] = list(range(100_000))


def waiting(lanes: int, records: int, **options: int) -> Backlog:
    """A backlog with so many records of each lane."""
    backlog = Backlog(**{"workers": 3, "batch_records": 10_000, **options})
    for lane in range(lanes):
        backlog.put((TopicPartition("topic", lane), RECORDS[:records]))
    return backlog


def lanes(chunks: Any) -> list[int]:
    return [partition.partition for partition, _ in chunks]


async def test_little_work_is_one_transaction_and_what_arrives_meanwhile_the_next() -> None:
    backlog = waiting(12, 1)
    first = backlog.take()
    assert lanes(first) == list(range(12))
    backlog.put((TopicPartition("topic", 3), RECORDS[1:2]))
    backlog.put((TopicPartition("other", 5), RECORDS[:1]))
    assert backlog.take() == []
    backlog.done(first)
    assert lanes(backlog.take()) == [3, 5]


async def test_much_work_is_shared_out_and_no_lane_is_in_two_hands() -> None:
    backlog = waiting(12, JOIN_RECORDS)
    batches = [backlog.take() for _ in range(3)]
    assert [lanes(batch) for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    backlog.put((TopicPartition("topic", 0), RECORDS[:JOIN_RECORDS]))
    assert backlog.take() == []
    backlog.done(batches[0])
    assert lanes(backlog.take()) == [0]


async def test_a_partition_is_split_in_order() -> None:
    backlog = waiting(1, 25, batch_records=10)
    taken: list[Any] = []
    while batch := backlog.take():
        assert sum(len(records) for _, records in batch) <= 10
        taken += [record for _, records in batch for record in records]
        backlog.done(batch)
    assert taken == RECORDS[:25]


async def test_others_join_in_when_one_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.01)
    backlog = waiting(1, 1)
    slow = backlog.take()
    backlog.put((TopicPartition("topic", 1), RECORDS[:1]))
    async with asyncio.timeout(5):
        while not (other := backlog.take()):
            await backlog.change()
    assert (lanes(slow), lanes(other)) == ([0], [1])


async def test_who_waits_is_told_and_does_not_spin() -> None:
    backlog = waiting(0, 0)
    assert backlog.take() == []
    change = asyncio.create_task(backlog.change())
    await asyncio.sleep(0.01)
    assert not change.done()
    backlog.put((TopicPartition("topic", 0), RECORDS[:1]))
    async with asyncio.timeout(1):
        await change


async def test_full_has_two_marks_and_what_is_dropped_counts_no_more() -> None:
    backlog = waiting(2, 30, workers=2, batch_records=10)
    assert backlog.full
    backlog.drop({TopicPartition("topic", 0)})
    assert (backlog.waiting, backlog.full) == (30, True)
    backlog.done(backlog.take())
    backlog.done(backlog.take())
    assert (backlog.waiting, backlog.full) == (10, False)
    assert lanes(backlog.take()) == [1]
