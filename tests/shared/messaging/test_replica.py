"""A replica is rebuilt from its topics beside lanes that go on, however often it is cut off; restores are left behind."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from shared import failpoints, rebuilding
from shared.comparison import Outcome
from shared.database import Pool
from shared.failpoints import FailpointError
from shared.messaging.cloudevents import read_envelopes
from shared.messaging.deadletters import parked_keys, replay
from shared.messaging.lanes import Folded, Lanes
from shared.messaging.log import Log, Outgoing, TopicPartition
from shared.messaging.recovery import accept_epoch, read_again
from shared.position import Position
from shared.replica import ReplicaRebuild
from shared.shadow import open_shadow
from tests.support.toy import ToyProjection, Writer, tables, value

LANES = range(3)
TOYS = {"counts": "key", "totals": "name"}


@dataclass
class Topic:
    """A topic, its writer, and the live lanes that read it."""

    log: Log
    name: str
    pool: Pool
    dsn: str
    projection: ToyProjection = field(init=False)
    writers: list[Writer] = field(init=False)
    sent: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.projection = ToyProjection(topics=(self.name,))
        self.writers = [Writer(self.name, lane) for lane in LANES]
        self.lanes = Lanes(self.projection, self.pool)

    def add(self, number: int, *, stem: str = "k", lane: int | None = None, n: int = 1) -> None:
        """Facts of several keys, each in its lane."""
        for i in range(number):
            where = i % len(LANES) if lane is None else lane
            self.writers[where].write(f"{stem}{i % 7}-{where}", n)

    async def send(self) -> None:
        await self.log.create_topics([self.name], partitions=len(LANES))
        publisher = await self.log.publisher()
        for lane, writer in enumerate(self.writers):
            new = writer.records[self.sent.get(lane, 0) :]
            batch = [Outgoing(record.key, record.headers, record.value) for record in new]
            if batch:
                await publisher.send({TopicPartition(self.name, lane): batch}, timeout_seconds=20)
            self.sent[lane] = len(writer.records)
        await publisher.close()

    async def hear(self, most: int = 1000) -> Folded:
        """What the live consumer does: fold from where each lane is."""
        wheres = [TopicPartition(self.name, lane) for lane in LANES]
        offsets = await self.lanes.next_offsets(wheres)
        chunks = [
            (where, read_envelopes(await self.log.read(where, offset=offset, max_records=most)))
            for where, offset in offsets.items()
        ]
        return await self.lanes.fold([chunk for chunk in chunks if chunk[1]])

    def restore(self, kept: Sequence[int]) -> None:
        """The writer's database is restored to what it had when so many records of each lane were sent; its epoch rises."""
        for writer, keeps in zip(self.writers, kept, strict=True):
            last = Position.parse(dict(writer.records[keeps - 1].headers)["ce_position"])
            writer.epoch += 1
            writer.sequence //= 2  # numbers are given again
            writer.write_at(Position(writer.epoch, 7, 1), last, "epoch", value(), kind="toy.epoch-raised.v1")

    @asynccontextmanager
    async def rebuild(self, *, page_records: int = 5) -> AsyncIterator[ReplicaRebuild]:
        """As another process would run it."""
        pool = await open_shadow(self.dsn, name="toy rebuild", size=5)
        try:
            yield ReplicaRebuild(
                pool, self.log, self.projection, TOYS, LANES, page_records=page_records, say=lambda _: None
            )
        finally:
            await pool.close()

    async def rebuilt(self, *, swap: bool = False, fresh: bool = False) -> Mapping[str, int]:
        """The tables in which a whole rebuild finds differences, and how many."""
        async with self.rebuild() as rebuild:
            await rebuild.prepare(fresh=fresh)
            await rebuild.catch_up()
            outcomes = await rebuild.compare()
            if swap:
                await rebuild.swap()
        return different(outcomes)


def different(outcomes: Sequence[Outcome]) -> Mapping[str, int]:
    return {outcome.table: outcome.different for outcome in outcomes if outcome.different}


@pytest.fixture
async def topic(log: Log, toy_pool: Pool, kernel_database: str, unique: Callable[[str], str]) -> Topic:
    return Topic(log, unique("toy"), toy_pool, kernel_database)


async def until_heard(topic: Topic) -> None:
    """Hear all that can be heard."""
    async with asyncio.timeout(20):
        while (await topic.hear()).applied:
            continue


async def sums(topic: Topic) -> tuple[dict[str, int], int]:
    counts, total = await tables(topic.pool)
    return {key: n for key, (n, _) in counts.items()}, total


def sums_of(*records: Sequence[object]) -> tuple[dict[str, int], int]:
    """Worked out from the records alone: each counts one for its key."""
    counts: dict[str, int] = {}
    for one in records:
        for record in one:
            counts[record.key.decode()] = counts.get(record.key.decode(), 0) + 1  # type: ignore[attr-defined]
    return counts, sum(counts.values())


async def test_what_is_wrong_is_told_and_mended(topic: Topic) -> None:
    topic.add(60)
    await topic.send()
    await until_heard(topic)
    assert await topic.rebuilt() == {}
    right = await tables(topic.pool)
    await topic.pool.execute("update counts set n = n + 1 where key = 'k0-0'")
    await topic.pool.execute("delete from counts where key = 'k1-1'")
    assert await topic.rebuilt(fresh=True) == {"counts": 2}
    assert await tables(topic.pool) != right, "without --swap nothing changes"
    assert await topic.rebuilt(swap=True) == {"counts": 2}
    assert await tables(topic.pool) == right
    topic.add(30, stem="later")
    await topic.send()
    await until_heard(topic)
    assert await sums(topic) == sums_of(*(writer.records for writer in topic.writers))


async def test_what_restores_have_undone_is_passed_over_and_the_lanes_go_on(topic: Topic) -> None:
    """Twice, the second time to before the first; one lane had read all that is void, one a part, one nothing."""
    topic.add(60)
    await topic.send()
    kept = [list(writer.records) for writer in topic.writers]
    topic.add(20, stem="void", lane=0)
    await topic.send()
    await until_heard(topic)
    topic.add(20, stem="void", lane=1)
    await topic.send()
    await topic.hear(most=10)
    topic.add(20, stem="void", lane=2)
    topic.restore([20, 20, 20])
    topic.add(9, stem="also void")
    topic.restore([20, 20, 20])
    topic.add(30, stem="new")
    new = [[r for r in writer.records if r.key.startswith(b"new")] for writer in topic.writers]
    await topic.send()
    await topic.hear()
    stopped = await topic.hear()
    assert [("epoch 2 follows epoch 1" in halt.reason) for halt in stopped.halts.values()] == [True] * 3
    assert await topic.hear() == stopped
    wrong = await topic.rebuilt(swap=True)
    assert wrong["counts"] >= 7
    assert await sums(topic) == sums_of(*kept)
    await until_heard(topic)
    assert (await topic.hear()).halts == {}
    assert await sums(topic) == sums_of(*kept, *new)
    assert await topic.rebuilt() == {}


async def test_a_restore_after_a_rebuild_was_begun_makes_it_begin_anew(topic: Topic) -> None:
    topic.add(60)
    topic.add(20, stem="void", lane=0)
    await topic.send()
    await until_heard(topic)
    async with topic.rebuild() as rebuild:
        await rebuild.prepare()
        await rebuild.catch_up()
    topic.restore([20, 20, 20])
    await topic.send()
    await topic.rebuilt(swap=True)
    await until_heard(topic)
    assert await sums(topic) == sums_of(*(writer.records[:20] for writer in topic.writers))


async def test_who_had_accepted_an_epoch_can_still_be_rid_of_what_it_undid(topic: Topic) -> None:
    topic.add(60)
    topic.add(20, stem="void", lane=0)
    await topic.send()
    topic.restore([20, 20, 20])
    topic.add(9, stem="new")
    await topic.send()
    await accept_epoch(topic.pool, "toy", topic.name, 2)
    await until_heard(topic)
    await until_heard(topic)
    assert (await sums(topic))[1] == 89
    await topic.rebuilt(swap=True)
    assert (await sums(topic))[1] == 69


async def test_a_partition_that_does_not_tell_of_the_epoch_yet_makes_it_wait(topic: Topic) -> None:
    topic.add(60)
    await topic.send()
    await until_heard(topic)
    topic.restore([20, 20, 20])
    late = topic.writers[2].records.pop()
    await topic.send()
    with pytest.raises(ValueError, match="partition 2 does not tell of epoch 2 yet"):
        await topic.rebuilt(swap=True)
    topic.writers[2].records.append(late)
    await topic.send()
    assert await topic.rebuilt(swap=True) == {}


@pytest.mark.parametrize(
    "point", ["consumer.mid-apply", "consumer.before-commit", "consumer.after-commit", "rebuild.before-swap-commit"]
)
async def test_cut_off_anywhere_it_is_resumed_and_ends_the_same(
    topic: Topic, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    topic.add(60)
    await topic.send()
    await until_heard(topic)
    before = await tables(topic.pool)
    for hit in (1, 3, 4):
        with monkeypatch.context() as broken:
            armed = failpoints._parse(f"{point}=raise@{1 if 'swap' in point else hit}")
            broken.setattr(failpoints, "_armed", armed)
            with pytest.raises(FailpointError):
                await topic.rebuilt(swap=True)
        assert await tables(topic.pool) == before
    assert await topic.pool.fetchval("select sum(next_offset)::int from lane_topics where consumer = 'toy rebuild'") > 0
    assert await topic.rebuilt(swap=True) == {}
    assert await tables(topic.pool) == before
    assert await topic.pool.fetch("select from lanes where consumer = 'toy rebuild'") == []


async def test_lanes_go_on_meanwhile_and_after(topic: Topic) -> None:
    await topic.send()
    done = asyncio.Event()

    async def live() -> None:
        for number in range(30):
            topic.add(15, stem=f"s{number % 4}")
            await topic.send()
            await topic.hear()
        done.set()

    async with asyncio.timeout(90):
        feeding = asyncio.create_task(live())
        swaps = 0
        while not done.is_set():
            assert await topic.rebuilt(swap=True) == {}
            swaps += 1
        await feeding
    await until_heard(topic)
    assert swaps >= 1
    assert await sums(topic) == sums_of(*(writer.records for writer in topic.writers))


async def test_parked_keys_are_what_the_fold_of_now_makes_of_them(topic: Topic) -> None:
    topic.add(6, stem="fine")
    topic.writers[0].write("bad", poison=True)
    topic.add(3, stem="bad", lane=0)
    topic.writers[0].write("bad")
    topic.writers[1].write("worse", n=-1)
    await topic.send()
    await until_heard(topic)
    before = [(each.key, each.facts) for each in await parked_keys(topic.pool)]
    assert before == [("bad", 2), ("worse", 1)]
    assert await topic.rebuilt(swap=True) == {}
    assert sorted((each.key, each.facts) for each in await parked_keys(topic.pool)) == before
    topic.projection.lenient = True
    assert await topic.rebuilt(swap=True) != {}
    assert await parked_keys(topic.pool) == []
    assert (await sums(topic))[1] == 12


async def test_a_void_fact_is_not_parked_any_more_and_what_waits_behind_it_can_be_replayed(topic: Topic) -> None:
    topic.add(3)
    topic.writers[0].write("bad", poison=True)
    topic.writers[0].write("bad")
    await topic.send()
    await until_heard(topic)
    topic.restore([1, 1, 1])
    topic.writers[0].write("bad")
    await topic.send()
    await accept_epoch(topic.pool, "toy", topic.name, 2)
    await until_heard(topic)
    assert [each.facts for each in await parked_keys(topic.pool)] == [3]
    async with topic.rebuild() as rebuild:
        await rebuild.prepare()
    [left] = await parked_keys(topic.pool, consumer="toy")
    assert (left.facts, left.reason) == (1, "queued behind a fact that a restore has undone")
    assert (await replay(topic.pool, topic.projection, lane=0, key="bad")).left == 0


async def test_a_topic_that_is_read_again_is_rebuilt_as_far_as_it_was_folded(topic: Topic) -> None:
    topic.add(60)
    await topic.send()
    await until_heard(topic)
    before = await tables(topic.pool)
    await read_again(topic.pool, "toy", topic.name)
    assert await topic.rebuilt(swap=True) == {}
    assert await tables(topic.pool) == before


async def test_a_topic_that_has_lost_its_end_is_not_taken_for_the_whole(
    topic: Topic, unique: Callable[[str], str]
) -> None:
    topic.add(60)
    await topic.send()
    await until_heard(topic)
    await topic.pool.execute("update lane_topics set next_offset = next_offset + 5 where lane = 1")
    with pytest.raises(ValueError, match="partition 1 does not hold all that was folded of it"):
        await topic.rebuilt(swap=True)


async def test_a_rebuild_that_another_one_has_ended_touches_no_live_table(topic: Topic) -> None:
    topic.add(60)
    await topic.send()
    await until_heard(topic)
    before = await tables(topic.pool)
    async with topic.rebuild() as slow:
        await slow.prepare()
        assert await topic.rebuilt(swap=True) == {}
        await topic.pool.execute(
            "insert into lane_topics select 'toy rebuild', lane, topic, 0, 0, 0, 0 from lane_topics where consumer = 'toy'"
        )
        with pytest.raises(ValueError, match="another rebuild has ended this one"):
            await slow._fold_rest()
    assert await tables(topic.pool) == before


async def test_readers_never_see_an_empty_replica_and_a_swap_waits_for_nobody_for_long(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "PAUSE_SECONDS", 0.1)
    topic.add(60)
    await topic.send()
    await until_heard(topic)
    tried, seen, done = asyncio.Event(), set(), asyncio.Event()

    async def read() -> None:
        while not done.is_set():
            seen.add(await topic.pool.fetchval("select sum(n)::int from counts"))

    async with topic.rebuild() as rebuild, asyncio.timeout(30):
        reading = asyncio.create_task(read())
        rebuild.say = lambda text: tried.set() if text.startswith("trying again") else None
        await rebuild.prepare()
        await rebuild.catch_up()
        async with topic.pool.acquire() as connection, connection.transaction():
            await connection.execute("select from totals")
            swapping = asyncio.create_task(rebuild.swap())
            await tried.wait()
        await swapping
        done.set()
        await reading
    assert seen == {60}
