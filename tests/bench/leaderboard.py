"""Whether reading a leaderboard of 1,000,000 members costs about what reading one of 10,000 does, while scores change."""

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
from uuid_utils import uuid7

from deploy.local.postgres import EmbeddedPostgres
from services.content.messages import PostPublished
from services.scoring.boards import split_oversized
from services.scoring.definition import SCORING
from services.scoring.projections import ScoringProjection
from shared.commands.recorded import Message
from shared.messaging.cloudevents import read_envelopes
from shared.messaging.lanes import Lanes
from shared.messaging.log import Outgoing, TopicPartition
from shared.migrate import migrate
from shared.partitioning import partition_of
from tests.bench import servers
from tests.bench.rows import Options, Outcome, Row, say
from tests.bench.topics import ORGANIZATION, PARTITIONS, Relayed
from tests.support.serving import Client, Served, serving

LARGE, SMALL = 1_000_000, 10_000
READS = 300
"""Of each kind on each board; large and small in turn."""
POINTS_STEP = 10
METRICS = ("points", "activity", "commission")
LEVELS = 500
"""Different numbers of points, so that many share each."""
WRITES_A_SECOND = 100
REACH = 1.5


class Board(NamedTuple):
    """A board of some size in a database of its own, served."""

    served: Served
    community: str
    size: int

    def person(self, place: int) -> Client:
        return self.served.person(f"person-{place:07}")


async def measure(options: Options) -> Outcome:
    sizes = options.size(LARGE, least=SMALL), SMALL
    async with AsyncExitStack() as stack:
        path = stack.enter_context(servers.folder())
        postgres = stack.enter_context(servers.postgres(path))
        large, small = [await stack.enter_async_context(_board(postgres, path, size)) for size in sizes]
        medians = await _read(large, small, options.size(READS, least=20))
    worst = max(ours / theirs for ours, theirs in medians.values())
    notes = [
        f"{kind}: {1000 * ours:.2f} ms against {1000 * theirs:.2f} ms, {ours / theirs:.2f} ×"
        for kind, (ours, theirs) in medians.items()
    ]
    return Outcome(f"{worst:.2f} ×", worst <= REACH, notes)


ROW = Row(
    "leaderboard",
    f"leaderboard page and my rank over HTTP while scores change, {LARGE:,} members against {SMALL:,} (worst median)",
    f"≤ {REACH} × each",
    measure,
)


async def _read(large: Board, small: Board, reads: int) -> dict[str, tuple[float, float]]:
    """The median seconds of each kind of read, on the large and on the small board."""
    kinds = [(metric, kind) for metric in METRICS for kind in ("page", "top", "middle", "tail")]
    medians = {}
    for metric, kind in kinds:
        seconds: dict[int, list[float]] = {large.size: [], small.size: []}
        for number in range(reads + 10):
            for board in (large, small):
                taken = await _once(board, metric, kind, number)
                if number >= 10:
                    seconds[board.size].append(taken)
        ours, theirs = (statistics.median(each) for each in seconds.values())
        medians[f"{metric}, {'page' if kind == 'page' else f'my rank ({kind})'}"] = (ours, theirs)
        say(f"{metric} {kind}: {1000 * ours:.2f} ms against {1000 * theirs:.2f} ms")
    return medians


async def _once(board: Board, metric: str, kind: str, number: int) -> float:
    """One read; its seconds. Persons were numbered from the top when the board was made."""
    chance = random.Random(number)
    tenth = board.size // 10
    place = {"page": 0, "top": 0, "middle": board.size // 2, "tail": board.size - tenth}[kind] + chance.randrange(tenth)
    where = f"/v1/communities/{board.community}/leaderboards/{metric}" + ("?limit=20" if kind == "page" else "/me")
    reader = board.person(place)
    started_at = time.perf_counter()
    answer = await reader.get(where)
    taken = time.perf_counter() - started_at
    assert answer.status_code == 200, answer.text
    if kind == "page":
        assert len(answer.json()["items"]) == 20
    else:
        assert answer.json()["rank"] >= 1
    return taken


@asynccontextmanager
async def _board(postgres: EmbeddedPostgres, path: Path, size: int) -> AsyncIterator[Board]:
    name = f"scoring_{size}"
    await postgres.ensure_database(name)
    dsn = postgres.dsn(name)
    await migrate(dsn, *SCORING.migrations)
    say(f"making a board of {size:,}")
    community = str(uuid7())
    await _make(dsn, community, size)
    async with serving(SCORING, dsn, path) as served:
        board = Board(served, community, size)
        while await split_oversized(served.kernel.writer):
            pass
        await _check(board)
        writing = asyncio.create_task(_write(board))
        try:
            yield board
            if writing.done():
                await writing
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


async def _make(dsn: str, community: str, size: int) -> None:
    """Persons with standings, best first: LEVELS numbers of points and of commission, and as many rank keys of a day
    long ago."""
    connection = await asyncpg.connect(dsn)
    try:
        number = await connection.fetchval(
            "insert into communities (community, organization, zone) values ($1, $2, 'UTC') returning community_no",
            community,
            ORGANIZATION,
        )
        names = [f"person-{place:07}" for place in range(size)]
        persons = [(place + 1, ORGANIZATION, name, partition_of(name, PARTITIONS)) for place, name in enumerate(names)]
        await connection.execute("alter table persons alter person_no set generated by default")
        columns = ["person_no", "organization", "person", "lane"]
        await connection.copy_records_to_table("persons", records=persons, columns=columns)
        keys = [_key(size, place) for place in range(size)]
        standings = [
            (place + 1, number, names[place], keys[place], _points(size, place), True) for place in range(size)
        ]
        columns = ["person_no", "community_no", "person", "activity_key", "points", "active"]
        await connection.copy_records_to_table("standings", records=standings, columns=columns)
        earned = [(names[place], number, _points(size, place), True) for place in range(size)]
        columns = ["person", "community_no", "commission", "active"]
        await connection.copy_records_to_table("commission_standings", records=earned, columns=columns)
        buckets = [(metric, number, -(2**63), size) for metric in (1, 2, 3)]
        await connection.copy_records_to_table(
            "rank_buckets", records=buckets, columns=["metric", "community_no", "lower_key", "members"]
        )
        await connection.execute("alter table persons alter person_no set generated always")
        await connection.execute("vacuum analyze")
    finally:
        await connection.close()


def _points(size: int, place: int) -> int:
    return POINTS_STEP * (1 + LEVELS * (size - 1 - place) // size)


def _key(size: int, place: int) -> int:
    """A rank key whose order is that of the points; ties among a level's members."""
    return (2900 << 40) + (1 << 39) + _points(size, place)


async def _check(board: Board) -> None:
    """Ranks are right before anybody writes."""
    for place in (0, board.size // 2, board.size - 1):
        expected = 1 + sum(_points(board.size, other) > _points(board.size, place) for other in range(board.size))
        for metric in METRICS:
            answer = await board.person(place).get(f"/v1/communities/{board.community}/leaderboards/{metric}/me")
            assert answer.json()["rank"] == expected, (answer.text, expected)


class _Record(NamedTuple):
    """As read from the log."""

    topic: str
    partition: int
    offset: int
    key: bytes
    headers: Sequence[tuple[str, bytes]]
    value: bytes


async def _write(board: Board) -> None:
    """Fold posts of members from all over the board through the real projection, some every tenth of a second."""
    lanes = Lanes(ScoringProjection(), board.served.kernel.writer)
    relayed, chance = Relayed("content"), random.Random(1)
    offsets = dict.fromkeys(range(PARTITIONS), 0)
    while True:
        chunks: dict[TopicPartition, list[Any]] = {}
        for _ in range(WRITES_A_SECOND // 10):
            where, record = _post(board, relayed, chance.randrange(board.size))
            offset = offsets[where.partition]
            offsets[where.partition] += 1
            chunks.setdefault(where, []).append(
                _Record(*where, offset, record.key, record.headers, record.value or b"")
            )
        folded = await lanes.fold([(where, read_envelopes(records)) for where, records in chunks.items()])
        assert folded.applied == WRITES_A_SECOND // 10 and not folded.halts
        await split_oversized(board.served.kernel.writer)
        await asyncio.sleep(0.1)


def _post(board: Board, relayed: Relayed, place: int) -> tuple[TopicPartition, Outgoing]:
    at = datetime.now(UTC)
    person, post = f"person-{place:07}", str(uuid7())
    published = PostPublished(
        organization=ORGANIZATION,
        community=board.community,
        zone="UTC",
        currency="CNY",
        post=post,
        author=person,
        kind="text",
        occurred_at=at,
        recorded_at=at,
        local_day=at.date(),
    )
    return relayed.record(Message("content.post-published.v1", person, post, published), at)
