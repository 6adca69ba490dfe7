"""How long after its commit a post shows on the leaderboard, through relay, Kafka and projection, each its own process."""

import asyncio
import json
import time
from collections.abc import Sequence

import msgspec
from uuid_utils import uuid7

from services.content.definition import CONTENT
from services.scoring.definition import SCORING
from shared.messaging.kafka import KafkaLog
from shared.migrate import migrate
from tests.bench import servers
from tests.bench.commands import ORGANIZATION, POST, add_members
from tests.bench.rows import Options, Outcome, Row, say
from tests.bench.topics import PARTITIONS, Crowd, fill, joins
from tests.support.roles import Authority, Services
from tests.support.wire import Api

COMMANDS_A_SECOND = 150
SECONDS = 30.0
WARM_SECONDS = 4.0
MEMBERS = 20
"""Of each community; one page of the leaderboard shows them all."""
POSTS_THAT_COUNT = 5
"""A day: each of them moves the points of its author."""
POINTS = 10
POLL_SECONDS = 0.005
WRITERS = 32
BODY = json.dumps(POST).encode()
P50_MS, P99_MS = 50, 500


class _Board:
    """What was posted in one community and is not seen yet: by the author and the number of the author's posts."""

    def __init__(self, community: str, persons: Sequence[str]) -> None:
        self.community = community
        self.persons = persons
        self.waiting: dict[tuple[str, int], float] = {}


async def measure(options: Options) -> Outcome:
    seconds = WARM_SECONDS + max(2.0, SECONDS * options.scale)
    count = int(seconds * COMMANDS_A_SECOND)
    boards = _boards(-(-count // (MEMBERS * POSTS_THAT_COUNT)))
    with servers.folder() as path, servers.postgres(path) as postgres, servers.kafka(path) as kafka:
        dsns = {}
        for definition in (CONTENT, SCORING):
            await postgres.ensure_database(definition.name)
            dsns[definition.name] = postgres.dsn(definition.name)
            await migrate(dsns[definition.name], *definition.migrations)
        for board in boards:
            await add_members(dsns["content"], board.community, list(board.persons))
        await _publish_joins(kafka.bootstrap_servers, boards)
        with (
            Authority(path) as authority,
            Services(
                authority, path, QUNLI_LOG="kafka", QUNLI_KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers
            ) as roles,
        ):
            roles.start("content", "relay", dsns["content"])
            roles.start("scoring", "consume", dsns["scoring"])
            content = roles.start("content", "api", dsns["content"])
            scoring = roles.start("scoring", "api", dsns["scoring"])
            say(f"{count} posts, {COMMANDS_A_SECOND} a second")
            late, ages = await _run(authority, content, scoring, boards, count)
    ages = sorted(ages)
    p50, p99 = (1000 * ages[len(ages) * share // 100] for share in (50, 99))
    notes = [f"{len(ages)} posts, longest {1000 * ages[-1]:.0f} ms; commands started at most {1000 * late:.0f} ms late"]
    return Outcome(f"p50 {p50:.0f} ms, p99 {p99:.0f} ms", p50 <= P50_MS and p99 <= P99_MS, notes)


ROW = Row(
    "freshness",
    f"from the answer to a post to the leaderboard that shows it, {COMMANDS_A_SECOND} posts/s on Kafka",
    f"p50 ≤ {P50_MS} ms, p99 ≤ {P99_MS} ms",
    measure,
)


def _boards(number: int) -> list[_Board]:
    return [_Board(str(uuid7()), [f"p{place}-{member}" for member in range(MEMBERS)]) for place in range(number)]


async def _publish_joins(bootstrap_servers: str, boards: Sequence[_Board]) -> None:
    crowd = Crowd(
        [person for board in boards for person in board.persons],
        [board.community for board in boards for _ in board.persons],
    )
    log = await KafkaLog.open(bootstrap_servers)
    try:
        await fill(log, ["membership.events"], joins(crowd))
        for topic in ("content.events", "campaigns.events", "scoring.events"):
            await log.create_topics([topic], partitions=PARTITIONS)
    finally:
        await log.close()


async def _run(
    authority: Authority, content: str, scoring: str, boards: Sequence[_Board], count: int
) -> tuple[float, list[float]]:
    """Post at the rate, and look; the latest start of a command, and the seconds until each one after the warm-up
    showed."""
    tokens = {
        person: authority.token(person, organization=ORGANIZATION) for board in boards for person in board.persons
    }
    reading = authority.token("reader", organization=ORGANIZATION, scope="scores:read")
    warm = int(WARM_SECONDS * COMMANDS_A_SECOND)
    writer = await Api.open(content, WRITERS)
    reader = await Api.open(scoring, 1)
    await _wait_for_members(reader, reading, boards)
    ages: list[float] = []
    posted = asyncio.Event()
    watching = asyncio.create_task(_watch(reader, reading, boards, posted, ages))
    commands: list[asyncio.Task[None]] = []
    late = 0.0
    started_at = time.perf_counter()
    for number in range(count):
        due_at = started_at + number / COMMANDS_A_SECOND
        await asyncio.sleep(max(0.0, due_at - time.perf_counter()))
        if number >= warm:
            late = max(late, time.perf_counter() - due_at)
        place, of_board = divmod(number, MEMBERS * POSTS_THAT_COUNT)
        turn, member = divmod(of_board, MEMBERS)
        board = boards[place]
        commands.append(asyncio.create_task(_post(writer, tokens[board.persons[member]], board, member, turn + 1)))
    await asyncio.gather(*commands)
    posted.set()
    async with asyncio.timeout(30):
        await watching
    writer.close()
    reader.close()
    assert len(ages) == count
    return late, ages[warm:]


def _signed(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def _post(writer: Api, token: str, board: _Board, member: int, turn: int) -> None:
    headers = {**_signed(token), "Idempotency-Key": str(uuid7())}
    reply = await writer.ask("POST", f"/v1/communities/{board.community}/posts", headers, BODY)
    assert reply.status == 201, reply
    board.waiting[board.persons[member], turn] = time.perf_counter()


async def _watch(reader: Api, token: str, boards: Sequence[_Board], posted: asyncio.Event, ages: list[float]) -> None:
    """Read the leaderboard over and over, one read at a time, where something is waited for."""
    while True:
        waited_for = [board for board in boards if board.waiting]
        if not waited_for and posted.is_set():
            return
        for board in waited_for:
            path = f"/v1/communities/{board.community}/leaderboards/points?limit={MEMBERS}"
            reply = await reader.ask("GET", path, _signed(token))
            now = time.perf_counter()
            assert reply.status == 200, reply
            points = {item.person: item.value for item in _read_page(reply.body).items}
            seen = [key for key in board.waiting if points.get(key[0], 0) >= POINTS * key[1]]
            ages += [now - board.waiting.pop(key) for key in seen]
        await asyncio.sleep(POLL_SECONDS)


async def _wait_for_members(reader: Api, token: str, boards: Sequence[_Board]) -> None:
    """Until scoring has folded all joins."""
    async with asyncio.timeout(60):
        for board in boards:
            for person in board.persons:
                path = f"/v1/communities/{board.community}/leaderboards/points/members/{person}"
                while (reply := await reader.ask("GET", path, _signed(token))).status != 200:
                    assert reply.status == 404, reply
                    await asyncio.sleep(0.1)


class _Item(msgspec.Struct):
    person: str
    value: int


class _Page(msgspec.Struct):
    items: list[_Item]


_read_page = msgspec.json.Decoder(_Page).decode
