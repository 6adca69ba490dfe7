"""What must hold after any number of kills: nothing acknowledged is lost, nothing is applied twice, sums are exact."""

import asyncio
from collections import Counter, defaultdict

from shared.messaging.log import Log, TopicPartition
from shared.position import START, Position
from tests.kills.load import Load
from tests.kills.world import World

DAILY_CAP = 5
POINTS = 10


async def until_quiet(world: World, seconds: float) -> None:
    """Wait until the relay has sent everything and the consumer has folded it."""
    content, scoring = await world.connect("content"), await world.connect("scoring")
    try:
        async with asyncio.timeout(seconds):
            while True:
                written = await content.fetchval("select count(*) from events where partition is not null")
                folded = await scoring.fetchval("select count(*) from journal where kind in (5, 6)")
                parked = await scoring.fetchval("select count(*) from dead_letters")
                edited = await content.fetchval("select count(*) from events where type = 'post-edited.v1'")
                if folded + parked >= written - edited:
                    return
                await asyncio.sleep(0.1)
    finally:
        await content.close()
        await scoring.close()


async def check_writes(world: World, load: Load) -> None:
    """Every acknowledged command stands in the event store exactly once."""
    content = await world.connect("content")
    try:
        rows = await content.fetch(
            "select stream_id, data -> 'draft' ->> 'body' as body from events where type = 'post-published.v1'"
        )
        removed = {row[0] for row in await content.fetch("select stream_id from events where type = 'post-removed.v1'")}
        stored = Counter(row["body"] for row in rows)
        stream_of = {row["body"]: row["stream_id"] for row in rows}
        twice = [body for body, times in stored.items() if times > 1]
        assert twice == [], "written twice under one key"
        lost = [number for number in load.published if f"post number {number}" not in stored]
        assert lost == [], "acknowledged and not in the event store"
        assert load.repeats_differed == []
        for number, post in load.published.items():
            assert post in stream_of[f"post number {number}"]
        kept = [number for number in load.removed if stream_of[f"post number {number}"] not in removed]
        assert kept == [], "removal acknowledged and not in the event store"
        gaps = await content.fetch(
            "select stream_id from events group by stream_id having max(version) <> count(*) or min(version) <> 1"
        )
        assert gaps == []
        keys = await content.fetchval("select count(*) from idempotency_keys where key like 'post-%'")
        assert keys == len(rows), "a key without its facts, or facts without their key"
    finally:
        await content.close()


async def check_log(world: World, log: Log) -> None:
    """Every published fact stands in the log, in order, each naming the one before; repeats only."""
    content = await world.connect("content")
    try:
        rows = await content.fetch("select event_id::text as id, partition from events where partition is not null")
    finally:
        await content.close()
    sent: set[str] = set()
    for partition, end in (await log.end_offsets("content.events")).items():
        last = START
        offset = 0
        while offset < end:
            records = await log.read(TopicPartition("content.events", partition), offset=offset, max_records=1000)
            for record in records:
                headers = dict(record.headers)
                position = Position.parse(headers["ce_position"])
                if position > last:
                    assert Position.parse(headers["ce_previous"]) == last, f"a gap in partition {partition}"
                    last = position
                sent.add(headers["ce_id"].decode())
            offset = records[-1].offset + 1
    missing = [row["id"] for row in rows if row["id"] not in sent]
    assert missing == [], "committed and not in the log"


async def check_scores(world: World) -> None:
    """Every published fact is in the journal exactly once; entries, balances, counts and boards follow from it."""
    content, scoring = await world.connect("content"), await world.connect("scoring")
    try:
        written = {
            str(row[0])
            for row in await content.fetch(
                "select event_id from events where partition is not null and type <> 'post-edited.v1'"
            )
        }
        journal = await scoring.fetch(
            "select event_id::text, kind, person, local_day, act_day from journal join persons using (person_no) where kind in (5, 6)"
        )
        assert Counter(row["event_id"] for row in journal) == Counter(written)
        counts: dict[str, Counter[object]] = defaultdict(Counter)
        for row in journal:
            if row["kind"] == 5:
                counts[row["person"]][row["local_day"]] += 1
            else:
                counts[row["person"]][row["act_day"]] -= 1
        expected = {
            person: sum(POINTS * min(number, DAILY_CAP) for number in days.values()) for person, days in counts.items()
        }
        balances = await scoring.fetch(
            """
            select persons.person, sum(points)::bigint as balance
              from standings
              join persons using (person_no)
             group by persons.person
            """
        )
        assert {row["person"]: row["balance"] for row in balances if row["balance"]} == {
            person: points for person, points in expected.items() if points
        }
        entries = await scoring.fetch(
            "select person, sum(points_given)::bigint as total from point_entries join persons using (person_no) group by person"
        )
        assert {row["person"]: row["total"] for row in entries if row["total"]} == {
            person: points for person, points in expected.items() if points
        }
        gaps = await scoring.fetch(
            "select lane from journal group by lane having max(seq) <> count(*) or min(seq) <> 1"
        )
        assert gaps == []
        boards = await scoring.fetch(
            """
            select metric, sum(members)::bigint as members from rank_buckets group by metric order by metric
            """
        )
        on_boards = await scoring.fetchrow(
            """
            select count(*) filter (where activity_key is not null) as activity,
                   count(*) filter (where points <> 0) as points
              from standings
             where active
            """
        )
        assert sorted(row["members"] for row in boards) == sorted([on_boards["activity"], on_boards["points"]])
    finally:
        await content.close()
        await scoring.close()
