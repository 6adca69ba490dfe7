"""Waiting until this service has heard what the caller knows."""

import asyncio
import time

import pytest

from shared.database import Pool, open_writer
from shared.errors import BadRequest, Unavailable
from shared.messaging.lanes import Lanes
from shared.messaging.log import TopicPartition
from shared.messaging.progress import Progress
from shared.position import Position, Token
from tests.support.toy import ToyProjection, Writer, chunk

TOPIC = "toy.events"
P0 = TopicPartition(TOPIC, 0)


def progress(pool: Pool) -> Progress:
    return Progress(pool, "toy", {"toy": TOPIC}, partitions=12)


def token(sequence: int, *, service: str = "toy", partition: int = 0) -> Token:
    return Token(service, partition, Position(1, 1000 + sequence, sequence))


async def test_what_is_folded_is_passed(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    writer.write("ana"), writer.write("ana")
    await Lanes(ToyProjection(), toy_pool).fold([chunk(writer.records)])
    passed = progress(toy_pool)
    for sequence in (1, 2):
        await passed.wait_for([token(sequence)], timeout_seconds=1)


async def test_positions_are_compared_as_a_whole(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    writer.write("ana"), writer.write("ana")
    await Lanes(ToyProjection(), toy_pool).fold([chunk(writer.records)])
    passed = progress(toy_pool)
    await passed.wait_for([Token("toy", 0, Position(1, 1001, 999))], timeout_seconds=1)
    await passed.wait_for([Token("toy", 0, Position(0, 9999, 999))], timeout_seconds=1)
    with pytest.raises(Unavailable):
        await passed.wait_for([Token("toy", 0, Position(1, 1003, 1))], timeout_seconds=0.1)


async def test_what_does_not_come_is_answered_after_the_timeout(toy_pool: Pool) -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable) as refusal:
        await progress(toy_pool).wait_for([token(1)], timeout_seconds=0.3)
    assert (refusal.value.reason, refusal.value.retry_after_seconds) == ("not-caught-up", 1)
    assert 0.3 <= time.monotonic() - started < 1


async def test_who_waits_hears_of_another_processs_commit_by_polling(toy_pool: Pool) -> None:
    waiting = asyncio.create_task(progress(toy_pool).wait_for([token(1)], timeout_seconds=5))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    writer = Writer(TOPIC, 0)
    await Lanes(ToyProjection(), toy_pool).fold([chunk([writer.write("ana")])])
    async with asyncio.timeout(1):
        await waiting


async def test_a_commit_of_this_process_is_heard_at_once(toy_pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.messaging.progress.POLL_SECONDS", 60)
    passed = progress(toy_pool)
    waiting = asyncio.create_task(passed.wait_for([token(1)], timeout_seconds=5))
    await asyncio.sleep(0.1)
    writer = Writer(TOPIC, 0)
    await Lanes(ToyProjection(), toy_pool).fold([chunk([writer.write("ana")])])
    passed.advanced()
    async with asyncio.timeout(1):
        await waiting


async def test_all_tokens_must_be_passed(toy_pool: Pool) -> None:
    lanes = Lanes(ToyProjection(), toy_pool)
    zero, one = Writer(TOPIC, 0), Writer(TOPIC, 1)
    passed = progress(toy_pool)
    waiting = asyncio.create_task(passed.wait_for([token(1), token(1, partition=1)], timeout_seconds=5))
    await lanes.fold([chunk([zero.write("ana")])])
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await lanes.fold([chunk([one.write("bob")])])
    await waiting


async def test_tokens_of_services_that_are_not_listened_to_are_ignored(toy_pool: Pool) -> None:
    await progress(toy_pool).wait_for([token(1, service="billing", partition=31)], timeout_seconds=0.1)


@pytest.mark.parametrize(
    "malformed",
    [
        token(1, partition=12),
        Token("toy", 0, Position(2**31, 1, 1)),
        Token("toy", 0, Position(1, 2**63, 1)),
        Token("toy", 0, Position(1, 1, 2**63)),
    ],
)
async def test_a_token_that_cannot_be_ours_is_malformed(toy_pool: Pool, malformed: Token) -> None:
    with pytest.raises(BadRequest) as refusal:
        await progress(toy_pool).wait_for([malformed], timeout_seconds=0.1)
    assert refusal.value.reason == "consistency-token-malformed"


async def test_a_parked_fact_is_answered_at_once(toy_pool: Pool) -> None:
    writer = Writer(TOPIC, 0)
    records = [writer.write("ana", poison=True), writer.write("ana"), writer.write("bob")]
    await Lanes(ToyProjection(), toy_pool).fold([chunk(records)])
    passed = progress(toy_pool)
    for sequence in (1, 2):
        with pytest.raises(Unavailable) as refusal:
            await passed.wait_for([token(sequence)], timeout_seconds=5)
        assert refusal.value.reason == "fact-parked"
    await passed.wait_for([token(3)], timeout_seconds=1)


async def test_many_who_wait_share_one_query_and_it_ends_with_them(
    toy_pool: Pool, kernel_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.messaging.progress.POLL_SECONDS", 0.05)
    pool = await open_writer(kernel_database, name="narrow", size=1)
    passed = progress(pool)
    waits = [asyncio.create_task(passed.wait_for([token(1 + n % 3)], timeout_seconds=5)) for n in range(300)]
    await asyncio.sleep(0.3)
    writer = Writer(TOPIC, 0)
    for _ in range(3):
        writer.write("ana")
    await Lanes(ToyProjection(), toy_pool).fold([chunk(writer.records)])
    async with asyncio.timeout(1):
        await asyncio.gather(*waits)
    assert not passed._waiting
    async with asyncio.timeout(1):
        assert passed._poller is not None
        await passed._poller
    await pool.close()


async def test_with_the_database_away_everybody_is_told(kernel_database: str) -> None:
    pool = await open_writer(kernel_database, name="gone", size=1)
    await pool.close()
    waits = [progress(pool).wait_for([token(1)], timeout_seconds=5) for _ in range(3)]
    for outcome in await asyncio.gather(*waits, return_exceptions=True):
        assert isinstance(outcome, Unavailable)
        assert outcome.reason == "database-unavailable"


async def test_who_gives_up_leaves_the_others_waiting(toy_pool: Pool) -> None:
    passed = progress(toy_pool)
    impatient = asyncio.create_task(passed.wait_for([token(1)], timeout_seconds=0.1))
    patient = asyncio.create_task(passed.wait_for([token(1)], timeout_seconds=5))
    with pytest.raises(Unavailable):
        await impatient
    writer = Writer(TOPIC, 0)
    await Lanes(ToyProjection(), toy_pool).fold([chunk([writer.write("ana")])])
    await patient
