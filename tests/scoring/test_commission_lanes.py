"""Commission crosses lanes: it is added by many at once, published once, and counted exactly on the boards."""

import asyncio
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg
import msgspec
import pytest

from services.scoring import boards
from services.scoring.boards import split_oversized
from services.scoring.definition import SCORING
from services.scoring.projections import ScoringProjection
from shared.commands.recorded import Recorded
from shared.messaging.deadletters import replay
from shared.messaging.facts import InboundFact, Poison
from shared.messaging.lanes import Lanes
from tests.scoring.feeder import Feeder, as_records
from tests.scoring.recomputing import recomputed_commission
from tests.scoring.story import Story
from tests.scoring.test_boards import counted


def sales(
    story: Story, community: str, earners: Sequence[str], orders: int, chance: random.Random
) -> list[InboundFact]:
    """So many orders of as many buyers, each attributed to some earner, a third refunded in two parts."""
    facts = []
    for number in range(orders):
        bought = story.bought(f"buyer{number}", community, chance.choice([990, 1234, 100_000]))
        facts += [bought, story.attributed(bought, chance.choice(earners))]
        if number % 3 == 0:
            facts += [story.refunded(bought, 333), story.refunded(bought, 100)]
    return facts


async def test_lanes_add_to_one_person_who_comes_and_goes_and_every_bucket_stays_exact(
    pool: "asyncpg.Pool[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "FULL", 4)
    story, chance = Story(lanes=6), random.Random(3)
    community = story.community()
    earners = [f"earner{number}" for number in range(30)]
    facts = sales(story, community, [*earners, *["star"] * 15], 250, chance)
    comings = [story.joined(person, community) for person in earners]
    for turn in range(40):
        comings.append(story.left("star", community) if turn % 2 else story.joined("star", community, first=turn == 0))
    both = facts + comings
    done = asyncio.Event()

    async def fold(lane: int) -> None:
        own = [fact for fact in both if fact.partition == lane]
        async with pool.acquire() as connection:
            feeder = Feeder(connection)
            for start in range(0, len(own), 7):
                await feeder.apply(own[start : start + 7])

    async def split() -> None:
        while not done.is_set():
            await split_oversized(pool, oversized=8)
            await asyncio.sleep(0.01)

    splitting = asyncio.create_task(split())
    async with asyncio.timeout(50):
        await asyncio.gather(*(fold(lane) for lane in range(story.lanes)))
        done.set()
        await splitting
    async with pool.acquire() as connection:
        assert await counted(connection) == []
        on_board = await connection.fetchval("select sum(members)::int from rank_buckets where metric = 3")
        assert on_board == await connection.fetchval(
            "select count(*) from commission_standings where active and commission <> 0"
        )
        assert on_board > 20
        stored = await connection.fetch(
            """
            select organization, person, community, commission
              from commission_standings join communities using (community_no)
             where commission <> 0
            """
        )
        assert sorted((tuple(row) for row in stored), key=repr) == await recomputed_commission(connection)


async def test_lanes_add_to_the_same_people_without_waiting_for_each_other_in_a_circle(
    pool: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    story, chance = Story(lanes=6), random.Random(5)
    earners = [f"earner{number}" for number in range(60)]
    facts = sales(story, story.community(), earners, 600, chance)

    async def fold(lane: int) -> None:
        own = [fact for fact in facts if fact.partition == lane]
        async with pool.acquire() as connection:
            feeder = Feeder(connection)
            for start in range(0, len(own), 60):
                await feeder.apply(own[start : start + 60])

    async with asyncio.timeout(50):
        await asyncio.gather(*(fold(lane) for lane in range(story.lanes)))
    assert await pool.fetchval("select count(*) from commission_standings where commission > 0") == 60


async def test_who_earns_need_not_be_known_and_is_on_the_board_once_a_member(
    pool: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    story = Story()
    community = story.community()
    bought = story.bought("bo", community, 1000)
    async with pool.acquire() as connection:
        feeder = Feeder(connection)
        await feeder.apply([bought, story.attributed(bought, "ana")])
        standing = "select person, commission, active from commission_standings order by person"
        assert [tuple(row) for row in await connection.fetch(standing)] == [("ana", 100, None)]
        assert await connection.fetchval("select count(*) from rank_buckets where metric = 3") == 0
        await feeder.apply([story.joined("ana", community)])
        assert [tuple(row) for row in await connection.fetch(standing)] == [("ana", 100, True)]
        assert await connection.fetchval("select members from rank_buckets where metric = 3") == 1
        await feeder.apply([story.refunded(bought, 1000)])
        assert [tuple(row) for row in await connection.fetch(standing)] == [("ana", 0, True)]
        assert await connection.fetchval("select members from rank_buckets where metric = 3") == 0


async def test_commission_alone_moves_members_between_buckets_that_were_split_meanwhile(
    pool: "asyncpg.Pool[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "FULL", 4)
    story = Story()
    community = story.community()
    earners = [f"earner{number}" for number in range(20)]
    orders = [story.bought("bo", community, 100 * (number + 1)) for number in range(21)]
    async with pool.acquire() as connection:
        feeder = Feeder(connection)
        await feeder.apply([story.joined(earner, community) for earner in earners] + orders)
        await feeder.apply([story.attributed(order, earner) for order, earner in zip(orders, earners, strict=False)])
        assert await split_oversized(pool, oversized=8) > 0
        await feeder.apply([story.attributed(orders[20], earners[0])])
        assert await connection.fetchval("select count(*) from rank_buckets where metric = 3") > 3
        assert await counted(connection) == []


async def test_a_parked_buyer_is_paid_for_once_the_queue_is_replayed(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    story = Story(lanes=1)
    community = story.community()
    bought = story.bought("bo", community, 1000)
    facts = [story.removed(story.published("bo", community)), bought, story.attributed(bought, "ana")]
    projection = ScoringProjection()
    await Lanes(projection, pool).fold(as_records(facts))
    assert await pool.fetchval("select count(*) from dead_letters") == 3
    await pool.execute("delete from dead_letters where type = 'content.post-removed.v1'")
    await replay(pool, projection, lane=0, key="bo")
    assert await pool.fetchval("select commission from commission_standings") == 100
    assert await pool.fetchval("select count(*) from outbox") == 1


async def test_each_entry_is_published_once_under_who_earns_it(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    story = Story(lanes=12)
    community = story.community()
    facts = sales(story, community, ["ana", "cai", "dee"], 20, random.Random(1))
    chunks = as_records(facts, repeated=True)
    lanes = Lanes(ScoringProjection(partitions=12), pool)
    for partition, records in chunks:
        await lanes.fold([(partition, records)])
    await Lanes(ScoringProjection(partitions=12), pool).fold(chunks)
    async with pool.acquire() as connection:
        entries = await connection.fetch(
            "select entry::text, person, amount, event_id::text, payable_at from commission_entries"
        )
        rows = await connection.fetch(
            """
            select key, outbox.partition, value, headers ->> 'ce_subject' as subject, headers ->> 'ce_type' as type,
                   stream_id, version, events.type as stored, data::text, event_id::text, occurred_at, recorded_at
              from outbox join events using (epoch, transaction_id, sequence)
            """
        )
    assert len(rows) == len(entries) > 20
    messages = {row["subject"]: json.loads(row["value"]) for row in rows}
    for entry, person, amount, cause, payable_at in entries:
        message = messages[entry]
        assert (message["entry"], message["person"], message["amount_minor"]) == (entry, person, amount)
        assert (message["cause"], message["payable_at"][:19]) == (cause, payable_at.isoformat()[:19])
    for row in rows:
        assert (row["key"], row["partition"]) == (
            messages[row["subject"]]["person"],
            story.partition_of(messages[row["subject"]]["person"]),
        )
        assert (row["type"], row["stream_id"]) == ("scoring.commission-booked.v1", f"commission-{row['subject']}")
        # To publish a lost topic anew gives the same record.
        fact = SCORING.decode(row["stored"], row["data"])
        again = SCORING.publish(
            Recorded(row["stream_id"], 1, row["event_id"], fact, row["occurred_at"], row["recorded_at"])
        )
        assert again is not None
        assert msgspec.json.encode(again.data) == row["value"]
    assert {row["version"] for row in rows} == {1}


async def test_a_batch_that_fails_publishes_nothing(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    story = Story(lanes=1)
    community = story.community()
    bought = story.bought("bo", community, 1000)
    attributed = story.attributed(bought, "ana")
    never = story.removed(story.published("bo", community))
    async with pool.acquire() as connection:
        feeder = Feeder(connection)
        with pytest.raises(Poison, match="left to take back"):
            await feeder.apply([bought, attributed, never])
        assert await connection.fetchval("select count(*) from events") == 0
        await feeder.apply([bought, attributed])
        assert await connection.fetchval("select count(*) from outbox") == 1


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("unknown", "has no purchase"),
        ("elsewhere", "has no purchase"),
        ("twice", "attributed already"),
        ("too much", "1001 of 1000 refunded"),
        ("one missing", "by its own account 600"),
        ("more commissionable", "more is commissionable than was paid"),
        ("beyond the calendar", "end of all calendars"),
        ("in another form", "cannot be read"),
        ("no id", "cannot be read"),
    ],
)
async def test_what_does_not_fit_to_its_purchase_parks_its_buyer(
    pool: "asyncpg.Pool[asyncpg.Record]", wrong: str, why: str
) -> None:
    story = Story(lanes=1)
    community = story.community()
    bought = story.bought("bo", community, 1000)
    last = datetime(9999, 12, 30, tzinfo=UTC)
    facts = {
        "unknown": [story.refunded(bought, 1)],
        "elsewhere": [bought, story.refunded(bought, 1, community=story.community())],
        "twice": [bought, story.attributed(bought, "ana"), story.attributed(bought, "cai")],
        "too much": [bought, story.refunded(bought, 1001)],
        "one missing": [bought, story.refunded(bought, 500, refunded_minor=600)],
        "more commissionable": [story.bought("bo", community, 5, commissionable=6)],
        "beyond the calendar": [
            late := story.bought("bo", community, 1000, at=last),
            story.attributed(late, "ana", at=last),
        ],
        "in another form": [bought, story.refunded(bought, 1, purchase="0190A0A0-0000-7000-8000-000000000000")],
        "no id": [bought, story.refunded(bought, 1, refund="0190a0a0-0000-7000-8000-000000000000\n")],
    }[wrong]
    await Lanes(ScoringProjection(), pool).fold(as_records([*facts, story.published("ana", community)]))
    assert [why in row["reason"] for row in await pool.fetch("select reason from dead_letters")] == [True]
    assert await pool.fetchval("select points from standings where person = 'ana'") == 10
