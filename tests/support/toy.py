"""A projection small enough to check by hand, and records as the relay writes them."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from shared.messaging.cloudevents import read_envelopes
from shared.messaging.facts import LaneFacts, Poison
from shared.messaging.lanes import Chunk
from shared.messaging.log import TopicPartition
from shared.position import START, Position

TYPE = "toy.counted.v1"
OTHER_TYPE = "toy.ignored.v1"

TABLES = """
create table counts (key text primary key, n bigint not null check (n >= 0), last text not null);
create table totals (name text primary key, n bigint not null);
"""


@dataclass(frozen=True)
class ToyRecord:
    """What a log hands out, with the attributes of aiokafka's."""

    topic: str
    partition: int
    offset: int
    key: bytes
    headers: Sequence[tuple[str, bytes]]
    value: bytes


def envelope(
    position: Position, previous: Position, *, kind: str = TYPE, trace: str | None = None
) -> list[tuple[str, bytes]]:
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", f"00000000-0000-7000-8000-{position.sequence:012d}".encode()),
        ("ce_type", kind.encode()),
        ("ce_source", b"/toy"),
        ("ce_subject", b"subject"),
        ("ce_time", b"2026-11-22T10:00:00.000000Z"),
        ("ce_dataschema", b"toy/counted.v1.json"),
        ("content-type", b"application/json"),
    ]
    if trace:
        headers.append(("traceparent", trace.encode()))
    return [*headers, ("ce_position", str(position).encode()), ("ce_previous", str(previous).encode())]


def chunk(records: Sequence[ToyRecord]) -> Chunk:
    """Records of one partition as the consumer gives them to its lanes."""
    return TopicPartition(records[0].topic, records[0].partition), read_envelopes(records)


def value(n: int = 1, **extras: Any) -> bytes:
    return json.dumps({"n": n, **extras}).encode()


@dataclass
class Writer:
    """Writes the records of one partition as an honest relay does: offsets, positions and `previous` in a row."""

    topic: str
    partition: int
    epoch: int = 1
    offset: int = 0
    sequence: int = 0
    last: Position = START
    records: list[ToyRecord] = field(default_factory=list)

    def write(self, key: str, n: int = 1, *, kind: str = TYPE, trace: str | None = None, **extras: Any) -> ToyRecord:
        self.sequence += 1
        position = Position(self.epoch, 1000 + self.sequence, self.sequence)
        return self.write_at(position, self.last, key, value(n, **extras), kind=kind, trace=trace)

    def write_at(
        self,
        position: Position,
        previous: Position,
        key: str,
        data: bytes,
        *,
        kind: str = TYPE,
        trace: str | None = None,
    ) -> ToyRecord:
        headers = envelope(position, previous, kind=kind, trace=trace)
        record = ToyRecord(self.topic, self.partition, self.offset, key.encode(), headers, data)
        self.offset += 1
        self.last = position
        self.records.append(record)
        return record

    def repeat(self, record: ToyRecord) -> ToyRecord:
        """The same record again, at a new offset, as a resumed relay leaves it."""
        again = ToyRecord(record.topic, record.partition, self.offset, record.key, record.headers, record.value)
        self.offset += 1
        self.records.append(again)
        return again


class ToyProjection:
    """Counts per key (the lane's own) and a total across keys. `n` below zero breaks a constraint of the database,
    `poison` in the value is refused by the fold itself, unless `lenient`.
    """

    types = frozenset({TYPE})

    def __init__(self, consumer: str = "toy", topics: Sequence[str] = ("toy.events",)) -> None:
        self.consumer = consumer
        self.topics = topics
        self.lenient = False
        self.failures: list[BaseException] = []
        """Raised one by one, before anything is written."""
        self.memories: list[tuple[int, Any]] = []
        """What was remembered of each lane at each call."""
        self.calls: list[int] = []

    async def apply(self, connection: Any, lanes: Sequence[LaneFacts]) -> None:
        self.calls.append(sum(len(lane.facts) for lane in lanes))
        if self.failures:
            raise self.failures.pop(0)
        total = 0
        counts: Counter[str] = Counter()
        last: dict[str, str] = {}
        for lane in lanes:
            self.memories.append((lane.lane, lane.memory))
            for fact in lane.facts:
                data = json.loads(fact.value)
                if data.get("poison") and not self.lenient:
                    raise Poison(fact, "poisoned by the test")
                n = abs(data["n"]) if self.lenient else data["n"]
                counts[fact.key] += n
                if n < 0:
                    counts[fact.key] = -1_000_000_000
                total += n
                last[fact.key] = fact.position
            lane.memory = (lane.memory or 0) + len(lane.facts)
        keys = sorted(counts)
        await connection.execute(
            """
            insert into counts (key, n, last) select * from unnest($1::text[], $2::bigint[], $3::text[])
                on conflict (key) do update set n = counts.n + excluded.n, last = excluded.last
            """,
            keys,
            [counts[key] for key in keys],
            [last[key] for key in keys],
        )
        await connection.execute(
            "insert into totals values ('all', $1) on conflict (name) do update set n = totals.n + excluded.n", total
        )


async def tables(pool: asyncpg.Pool) -> tuple[dict[str, tuple[int, str]], int]:
    """Counts with the last position of every key, and the total."""
    counts = {row["key"]: (row["n"], row["last"]) for row in await pool.fetch("select key, n, last from counts")}
    return counts, await pool.fetchval("select coalesce(sum(n), 0)::bigint from totals")
