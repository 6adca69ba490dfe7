"""The baseline of the rows `projection` and `mixed`: a loop written for these topics alone, which keeps sums only.

Counts per person, day and act; balances; commission, where there are purchases. No journal, no entries, no caps, no check
for repeats, gaps or a second reader.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, NamedTuple

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

BATCH_RECORDS = 5000
MINOR_UNITS_PER_POINT = 100
BASIS_POINTS = 1000
POINTS = {1: 10, 2: 5, 3: 1, 4: 8, 6: 0}
"""Of each act: post, comment, reaction, share, purchase."""

TABLES = """
create table counts (
    person text collate "C" not null,
    day    date     not null,
    act    smallint not null,
    n      integer  not null,
    primary key (person, day, act)
) with (fillfactor = 80);
create table balances (
    person text   collate "C" not null primary key,
    points bigint not null
) with (fillfactor = 80);
create table commissions (
    person       text   collate "C" not null primary key,
    amount_minor bigint not null
) with (fillfactor = 80);
create table offsets (
    topic text, partition smallint, next_offset bigint not null, primary key (topic, partition)
) with (fillfactor = 40);
"""

STAGING = """
create temporary table new_counts (person text collate "C", day date, act smallint, n integer) on commit delete rows;
create temporary table new_balances (person text collate "C", points bigint) on commit delete rows;
create temporary table new_commissions (person text collate "C", amount_minor bigint) on commit delete rows;
"""


class Authored(msgspec.Struct, gc=False):
    """What is read of a post or a comment."""

    author: str
    local_day: date


class Reacted(msgspec.Struct, gc=False):
    person: str
    local_day: date


class Shared(msgspec.Struct, gc=False):
    sharer: str
    local_day: date


class Bought(msgspec.Struct, gc=False):
    buyer: str
    local_day: date
    paid_minor: int


class Link(msgspec.Struct, gc=False):
    level: int
    person: str


class Attributed(msgspec.Struct, gc=False):
    chain: list[Link]
    commissionable_minor: int


class Sums(NamedTuple):
    """Of one batch. `paid`: the points of purchases."""

    counts: Counter[tuple[str, date, int]]
    paid: Counter[str]
    commissions: Counter[str]


Add = Callable[[bytes, Sums], None]


def _add_post(value: bytes, sums: Sums) -> None:
    fact = _decode_authored(value)
    sums.counts[fact.author, fact.local_day, 1] += 1


def _add_comment(value: bytes, sums: Sums) -> None:
    fact = _decode_authored(value)
    sums.counts[fact.author, fact.local_day, 2] += 1


def _add_reaction(value: bytes, sums: Sums) -> None:
    fact = _decode_reacted(value)
    sums.counts[fact.person, fact.local_day, 3] += 1


def _add_share(value: bytes, sums: Sums) -> None:
    fact = _decode_shared(value)
    sums.counts[fact.sharer, fact.local_day, 4] += 1


def _add_purchase(value: bytes, sums: Sums) -> None:
    fact = _decode_purchase(value)
    sums.counts[fact.buyer, fact.local_day, 6] += 1
    sums.paid[fact.buyer] += fact.paid_minor // MINOR_UNITS_PER_POINT


def _add_attribution(value: bytes, sums: Sums) -> None:
    fact = _decode_attribution(value)
    for link in fact.chain:
        if link.level == 1:
            sums.commissions[link.person] += fact.commissionable_minor * BASIS_POINTS // 10_000


_decode_purchase = msgspec.json.Decoder(Bought).decode
_decode_attribution = msgspec.json.Decoder(Attributed).decode
_decode_authored = msgspec.json.Decoder(Authored).decode
_decode_reacted = msgspec.json.Decoder(Reacted).decode
_decode_shared = msgspec.json.Decoder(Shared).decode
_ADD: dict[bytes, Add] = {
    b"content.post-published.v1": _add_post,
    b"content.comment-added.v1": _add_comment,
    b"content.reaction-added.v1": _add_reaction,
    b"content.content-shared.v1": _add_share,
    b"campaigns.purchase-recorded.v1": _add_purchase,
    b"campaigns.purchase-attributed.v1": _add_attribution,
}


def _add_posts(records: Sequence[Any], sums: Sums) -> None:
    """Of a topic that holds nothing else: no header is looked at."""
    counts, decode = sums.counts, _decode_authored
    for record in records:
        post = decode(record.value)
        counts[post.author, post.local_day, 1] += 1


def _add_all(records: Sequence[Any], sums: Sums) -> None:
    for record in records:
        for name, value in record.headers:
            if name == "ce_type":
                _ADD[value](record.value, sums)
                break


async def run(
    bootstrap_servers: str, dsn: str, topics: Sequence[str], *, partitions: int, total: int, posts_only: bool
) -> float:
    """Read `total` records into the tables; the seconds from the first record fetched to the last commit."""
    add = _add_posts if posts_only else _add_all
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, enable_auto_commit=False, auto_offset_reset="none", fetch_max_wait_ms=250
    )
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(STAGING)
        await consumer.start()
        places = [TopicPartition(topic, number) for topic in topics for number in range(partitions)]
        consumer.assign(places)
        rows = await connection.fetch("select topic, partition, next_offset from offsets")
        stored = {(topic, partition): next_offset for topic, partition, next_offset in rows}
        for place in places:
            consumer.seek(place, stored.get((place.topic, place.partition), 0))
        started_at = 0.0
        done = 0
        while done < total:
            fetched = await consumer.getmany(timeout_ms=500, max_records=BATCH_RECORDS)
            started_at = started_at or time.perf_counter()
            sums = Sums(Counter(), Counter(), Counter())
            for records in fetched.values():
                add(records, sums)
                done += len(records)
            offsets = [(*place, records[-1].offset + 1) for place, records in fetched.items()]
            await _store(connection, sums, sorted(offsets))
        return time.perf_counter() - started_at
    finally:
        await asyncio.gather(consumer.stop(), connection.close())


async def _store(connection: Any, sums: Sums, offsets: list[tuple[str, int, int]]) -> None:
    balances = sums.paid
    for (person, _, act), n in sums.counts.items():
        balances[person] += POINTS[act] * n
    async with connection.transaction():
        await connection.copy_records_to_table("new_counts", records=[(*key, n) for key, n in sums.counts.items()])
        await connection.copy_records_to_table("new_balances", records=balances.items())
        await connection.execute(
            """
            insert into counts select person, day, act, n from new_counts order by person, day, act
                on conflict (person, day, act) do update set n = counts.n + excluded.n
            """
        )
        await connection.execute(
            """
            insert into balances select person, points from new_balances order by person
                on conflict (person) do update set points = balances.points + excluded.points
            """
        )
        if sums.commissions:
            await connection.copy_records_to_table("new_commissions", records=sums.commissions.items())
            await connection.execute(
                """
                insert into commissions select person, amount_minor from new_commissions order by person
                    on conflict (person) do update set amount_minor = commissions.amount_minor + excluded.amount_minor
                """
            )
        await connection.execute(
            """
            insert into offsets select * from unnest($1::text[], $2::smallint[], $3::bigint[])
                on conflict (topic, partition) do update set next_offset = excluded.next_offset
            """,
            *zip(*offsets, strict=True),
        )
