"""A system under load: services as processes, clients that post at a rate, and readers who doubt every answer."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from uuid_utils import uuid7

from shared.messaging.local import LocalLog
from tests.bench.commands import ORGANIZATION, add_members
from tests.bench.topics import PARTITIONS, Crowd, fill, joins
from tests.support.roles import Authority, Services
from tests.support.streaming import reading
from tests.support.wire import Api, Reply

ROLES = (("content", "relay"), ("content", "api"), ("scoring", "consume"), ("scoring", "api"))
COMMUNITIES = 60
MEMBERS = 20
"""Of each community: one page of its board shows them all."""

CROWD = 5000
"""Who only joined, elsewhere: so that there is something to rebuild."""

POINTS = 10
POSTS_THAT_COUNT = 5
"""A day: nobody posts more, so every post moves its author."""

POST = {"kind": "text", "body": "Who runs tomorrow at six?"}
WRITERS, READERS = 24, 6
READ_SECONDS = 0.05
AGAIN_SECONDS = 0.2
LATEST_SECONDS = 0.5
"""What could not be posted by then is not made up for."""
FOLDED_SECONDS = 60
TOPICS = ("content.events", "campaigns.events", "scoring.events")

Person = tuple[int, int]
"""(number of the community, number of the member)"""


class Busy:
    """The running system, and what its clients know.

    Attributes:
        acknowledged: posts per person that were answered 201.
        reads: how many answers were looked at, by what was asked.
        told_to_wait: how often somebody was answered 503 with `Retry-After`, by the problem; they came again.
        longest: it took until a request was answered otherwise, seconds.
    """

    def __init__(self, authority: Authority, urls: Mapping[str, str], homes: Sequence[str]) -> None:
        self.acknowledged: Counter[Person] = Counter()
        self.reads: Counter[str] = Counter()
        self.told_to_wait: Counter[str] = Counter()
        self.longest = 0.0
        self._asked_for = 0
        self._began_at = self._acknowledged_at = self._stopped_at = 0.0
        self._sent: Counter[Person] = Counter()
        self._seen: dict[tuple[str, Person], int] = {}
        self._listed: Counter[tuple[str, int]] = Counter()
        self._tokens: dict[Person, str] = {}
        self._authority = authority
        self._urls = urls
        self._homes = homes
        self._apis: dict[str, Api] = {}
        self._writers = asyncio.Semaphore(WRITERS)
        self._stop = asyncio.Event()
        self._random = random.Random(7)

    @asynccontextmanager
    async def at(self, commands_a_second: int) -> AsyncIterator[None]:
        """Post at this rate, and read, for as long as the context lasts. All answers must be right.

        Raises:
            AssertionError: one was not.
        """
        self._apis = {
            "content": await Api.open(self._urls["content"], WRITERS),
            "scoring": await Api.open(self._urls["scoring"], WRITERS + READERS),
        }
        tasks = [self._post_on(commands_a_second), self._watch(3)]
        tasks += [read(self._random.randrange(COMMUNITIES)) for read in (self._read_boards, self._read_own) * 2]
        self._asked_for = commands_a_second
        self._began_at = self._acknowledged_at = time.perf_counter()
        try:
            async with asyncio.TaskGroup() as group:
                for task in tasks:
                    group.create_task(task)
                try:
                    yield
                finally:
                    self._stop.set()
                    self._stopped_at = time.perf_counter()
        finally:
            for api in self._apis.values():
                api.close()

    def told(self) -> str:
        """The rate that was truly reached, up to the last post that was acknowledged, and what else there was; in one line."""
        posts, seconds = self.acknowledged.total(), self._acknowledged_at - self._began_at
        rate = posts / seconds if posts else 0
        return (
            f"reached {rate:.0f} of {self._asked_for} posts/s in {seconds:.0f} s; "
            f"under load for {self._stopped_at - self._began_at:.0f} s, read {dict(self.reads)}, "
            f"longest {self.longest:.2f} s, told to come again {dict(self.told_to_wait)}"
        )

    async def _post_on(self, commands_a_second: int) -> None:
        """One person after the other, through all communities; never more at a time than there are writers, so the rate
        is lower where the machine has other things to do."""
        due_at = time.perf_counter()
        async with asyncio.TaskGroup() as posts:
            for number in range(COMMUNITIES * MEMBERS * POSTS_THAT_COUNT):
                due_at = max(due_at + 1 / commands_a_second, time.perf_counter() - LATEST_SECONDS)
                await asyncio.sleep(due_at - time.perf_counter())
                await self._writers.acquire()
                if self._stop.is_set():
                    return
                turn, community = divmod(number, COMMUNITIES)
                posts.create_task(self._post((community, turn % MEMBERS))).add_done_callback(
                    lambda _: self._writers.release()
                )
            await self._stop.wait()  # everybody has posted as much as counts

    async def _post(self, person: Person) -> None:
        self._sent[person] += 1
        headers = {"Authorization": f"Bearer {self._token(person)}", "Idempotency-Key": str(uuid7())}
        path = f"/v1/communities/{self._homes[person[0]]}/posts"
        reply = await self._ask("content", "POST", path, headers, json.dumps(POST).encode())
        assert reply.status == 201, reply
        self.acknowledged[person] += 1
        self._acknowledged_at = time.perf_counter()
        if self._random.random() < 0.2:
            await self._see_own_write(person, self.acknowledged[person], reply.header("consistency-token"))

    async def _see_own_write(self, person: Person, posts: int, token: str) -> None:
        assert token, "a post was answered without a consistency token"
        path = f"/v1/communities/{self._homes[person[0]]}/leaderboards/points/me"
        reply = await self._get(path, person, token)
        self._check("own write", person, _value(reply)["value"], least=POINTS * posts)

    async def _read_boards(self, community: int) -> None:
        while not self._stop.is_set():
            community = (community + 1) % COMMUNITIES
            path = f"/v1/communities/{self._homes[community]}/leaderboards/points?limit={MEMBERS}"
            page = _value(await self._get(path, (community, 0)))
            self._check_board("board", community, page["items"])
            assert [item["value"] for item in page["items"]] == sorted(
                (item["value"] for item in page["items"]), reverse=True
            )
            await asyncio.sleep(READ_SECONDS)

    async def _read_own(self, community: int) -> None:
        """Place, points and entries of one person after the other."""
        while not self._stop.is_set():
            community = (community + 1) % COMMUNITIES
            person = (community, self._random.randrange(MEMBERS))
            board = f"/v1/communities/{self._homes[community]}/leaderboards/points/me"
            self._check("place", person, _value(await self._get(board, person))["value"])
            self._check("balance", person, _value(await self._get("/v1/people/me/points", person))["balance"])
            entries = _value(await self._get("/v1/people/me/entries?limit=100", person))["items"]
            self._check("entries", person, sum(entry["points_given"] for entry in entries))
            await asyncio.sleep(READ_SECONDS)

    async def _watch(self, community: int) -> None:
        """A stream of changes, which no swap may end."""
        url = f"{self._urls['scoring']}/v1/communities/{self._homes[community]}/leaderboards/points/stream"
        async with reading(url, {"authorization": f"Bearer {self._token((community, 0))}"}) as stream:
            assert stream.answer.status_code == 200
            stopped = asyncio.create_task(self._stop.wait())
            while True:
                event = asyncio.create_task(stream.next())
                await asyncio.wait([event, stopped], return_when=asyncio.FIRST_COMPLETED)
                if not event.done():
                    event.cancel()
                    return
                seen = event.result()
                assert seen.name in ("snapshot", "change"), seen
                self._check_board("stream", community, seen.data["items"])

    def _check_board(self, asked: str, community: int, items: Sequence[Mapping[str, Any]]) -> None:
        for item in items:
            self._check(asked, (community, int(item["person"].rpartition("-")[2])), item["value"])
        assert len(items) >= self._listed[asked, community], "somebody is gone from a board"
        self._listed[asked, community] = len(items)

    def _check(self, asked: str, person: Person, points: int, *, least: int = 0) -> None:
        """Points never fall, and are never more than was asked for."""
        self.reads[asked] += 1
        before = self._seen.get((asked, person), 0)
        assert max(least, before) <= points <= POINTS * self._sent[person], (asked, person, before, points)
        self._seen[asked, person] = points

    async def _get(self, path: str, person: Person, token: str = "") -> Reply:
        headers = {"Authorization": f"Bearer {self._token(person)}"} | ({"Consistency-Token": token} if token else {})
        return await self._ask("scoring", "GET", path, headers)

    async def _ask(self, service: str, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """As a client that comes again when it is told to: the system may be too slow here, but never wrong."""
        asked_at = time.perf_counter()
        while (reply := await self._apis[service].ask(method, path, headers, body)).status == 503:
            problem = json.loads(reply.body)["type"]
            assert reply.header("retry-after"), reply
            self.told_to_wait[problem] += 1
            await asyncio.sleep(AGAIN_SECONDS)
        self.longest = max(self.longest, time.perf_counter() - asked_at)
        return reply

    def _token(self, person: Person) -> str:
        if person not in self._tokens:
            self._tokens[person] = self._authority.token(name_of(person), organization=ORGANIZATION)
        return self._tokens[person]


def name_of(person: Person) -> str:
    return f"member-{person[0]}-{person[1]}"


def _value(reply: Reply) -> Any:
    assert reply.status == 200, reply
    return json.loads(reply.body)


@asynccontextmanager
async def running_services(dsns: Mapping[str, str], folder: Path) -> AsyncIterator[Busy]:
    """Start the roles over these databases (`content`, `scoring`, `log`), with communities whose members are known. Whatever
    fails bears a note of the rate that was reached.
    """
    homes = [str(uuid7()) for _ in range(COMMUNITIES)]
    for place, community in enumerate(homes):
        await add_members(dsns["content"], community, [name_of((place, member)) for member in range(MEMBERS)])
    await _publish_joins(dsns["log"], homes)
    with (
        Authority(folder) as authority,
        Services(authority, folder, QUNLI_LOG="local", QUNLI_LOCAL_LOG_URL=dsns["log"]) as services,
    ):
        processes = services.start_all((service, role, dsns[service]) for service, role in ROLES)
        await _until_folded(dsns["scoring"], COMMUNITIES * MEMBERS + CROWD, FOLDED_SECONDS)
        busy = Busy(authority, {service: processes[service, "api"].url for service in ("content", "scoring")}, homes)
        try:
            yield busy
            assert all(process.runs for process in processes.values()), "a process has ended"
        except Exception as error:
            error.add_note(busy.told())
            raise


async def _publish_joins(dsn: str, homes: Sequence[str]) -> None:
    members = [(name_of((place, member)), home) for place, home in enumerate(homes) for member in range(MEMBERS)]
    elsewhere = [str(uuid7()) for _ in range(3)]
    members += [(f"crowd-{number}", elsewhere[number % 3]) for number in range(CROWD)]
    persons, communities = ([member[column] for member in members] for column in (0, 1))
    log = await LocalLog.open(dsn)
    try:
        await fill(log, ["membership.events"], joins(Crowd(persons, communities)))
        await log.create_topics(TOPICS, partitions=PARTITIONS)
    finally:
        await log.close()


async def _until_folded(dsn: str, rows: int, seconds: float) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(seconds):
            while await connection.fetchval("select count(*) from journal") < rows:
                await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def until_quiet(dsn: str, busy: Busy) -> None:
    """Until all that was acknowledged is folded."""
    await _until_folded(dsn, COMMUNITIES * MEMBERS + CROWD + busy.acknowledged.total(), 30)
