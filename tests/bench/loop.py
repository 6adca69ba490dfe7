"""The baseline of the row `projection`: a loop written for this topic alone, which keeps counts and balances only.

No journal, no entries, no caps, no check for repeats, gaps or a second reader.
"""

import asyncio
import time
from collections import Counter
from datetime import date
from typing import Any

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

BATCH_RECORDS = 5000
POINTS = 10

TABLES = """
create table counts (
    person text collate "C" not null,
    day    date    not null,
    n      integer not null,
    primary key (person, day)
) with (fillfactor = 80);
create table balances (
    person text   collate "C" not null primary key,
    points bigint not null
) with (fillfactor = 80);
create table offsets (partition smallint primary key, next_offset bigint not null) with (fillfactor = 40);
"""

STAGING = """
create temporary table new_counts (person text collate "C", day date, n integer) on commit delete rows;
create temporary table new_balances (person text collate "C", points bigint) on commit delete rows;
"""


class Post(msgspec.Struct, gc=False):
    """What is read of a value."""

    author: str
    local_day: date


async def run(bootstrap_servers: str, dsn: str, topic: str, *, partitions: int, total: int) -> float:
    """Read `total` records into the tables; the seconds from the first record fetched to the last commit."""
    decode = msgspec.json.Decoder(Post).decode
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, enable_auto_commit=False, auto_offset_reset="none", fetch_max_wait_ms=250
    )
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(STAGING)
        await consumer.start()
        places = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(places)
        stored = dict(await connection.fetch("select partition, next_offset from offsets"))
        for place in places:
            consumer.seek(place, stored.get(place.partition, 0))
        started_at = 0.0
        done = 0
        while done < total:
            fetched = await consumer.getmany(timeout_ms=500, max_records=BATCH_RECORDS)
            started_at = started_at or time.perf_counter()
            counts: Counter[tuple[str, date]] = Counter()
            for records in fetched.values():
                for record in records:
                    post = decode(record.value)
                    counts[post.author, post.local_day] += 1
                done += len(records)
            offsets = [(place.partition, records[-1].offset + 1) for place, records in fetched.items()]
            await _store(connection, counts, sorted(offsets))
        return time.perf_counter() - started_at
    finally:
        await asyncio.gather(consumer.stop(), connection.close())


async def _store(connection: Any, counts: Counter[tuple[str, date]], offsets: list[tuple[int, int]]) -> None:
    balances: Counter[str] = Counter()
    for (person, _), n in counts.items():
        balances[person] += POINTS * n
    async with connection.transaction():
        await connection.copy_records_to_table(
            "new_counts", records=[(person, day, n) for (person, day), n in counts.items()]
        )
        await connection.copy_records_to_table("new_balances", records=balances.items())
        await connection.execute(
            """
            insert into counts select person, day, n from new_counts order by person, day
                on conflict (person, day) do update set n = counts.n + excluded.n
            """
        )
        await connection.execute(
            """
            insert into balances select person, points from new_balances order by person
                on conflict (person) do update set points = balances.points + excluded.points
            """
        )
        await connection.execute(
            """
            insert into offsets select * from unnest($1::smallint[], $2::bigint[])
                on conflict (partition) do update set next_offset = excluded.next_offset
            """,
            [partition for partition, _ in offsets],
            [next_offset for _, next_offset in offsets],
        )
