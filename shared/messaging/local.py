"""The log in PostgreSQL, for a laptop with nothing installed: the same partitions, offsets and groups as Kafka's."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import asyncpg
import msgspec
import uuid_utils

from shared.database import Pool, open_writer
from shared.messaging.local_groups import LocalSubscription
from shared.messaging.log import LogUnavailable, Outgoing, StartAt, TopicPartition
from shared.migrate import migrate

MIGRATIONS = Path(__file__).parent / "local_sql"
CHANNEL = "qunli_log"
REQUEST_SECONDS = 5.0

_encode_headers = msgspec.msgpack.Encoder().encode
_decode_headers = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode


class LocalRecord(msgspec.Struct, frozen=True, gc=False):
    """One record as read; see `shared.messaging.log.Record`."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: list[tuple[str, bytes]]
    value: bytes | None


class Topic(msgspec.Struct, frozen=True):
    id: int
    name: str
    partitions: int
    compacted: bool


@contextlib.contextmanager
def unavailable() -> Iterator[None]:
    """Translate the driver's errors."""
    try:
        yield
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise LogUnavailable(f"the log's database: {type(error).__name__}: {error}") from error


class LocalLog:
    """See `shared.messaging.log.Log`. Readers in this process are woken directly, those in others by NOTIFY."""

    def __init__(
        self, pool: Pool, dsn: str, *, poll_seconds: float, heartbeat_seconds: float, session_timeout_seconds: float
    ) -> None:
        self.poll_seconds = poll_seconds
        self.heartbeat_seconds = heartbeat_seconds
        self.session_timeout_seconds = session_timeout_seconds
        self.pool = pool
        self._dsn = dsn
        self._name = str(uuid_utils.uuid7())
        self._topics: dict[str, Topic] = {}
        self._readers: dict[str, set[Callable[[], None]]] = {}
        self._unannounced: set[str] = set()
        self._announce = asyncio.Event()
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._announce_appends())]

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        poll_seconds: float = 1.0,
        heartbeat_seconds: float = 2.0,
        session_timeout_seconds: float = 10.0,
    ) -> Self:
        """Open the log in the database at `dsn`, making its tables if they are missing.

        Args:
            poll_seconds: how long a reader sleeps at most if a wake-up is lost.
            heartbeat_seconds: how often a member of a group shows that it lives.
            session_timeout_seconds: a member silent for so long loses its partitions.

        Raises:
            LogUnavailable: the database cannot be reached.
        """
        with unavailable():
            await migrate(dsn, MIGRATIONS)
            pool = await open_writer(dsn, name="qunli-log", size=4)
        return cls(
            pool,
            dsn,
            poll_seconds=poll_seconds,
            heartbeat_seconds=heartbeat_seconds,
            session_timeout_seconds=session_timeout_seconds,
        )

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await self.pool.close()
        except TimeoutError:
            self.pool.terminate()

    async def create_topics(self, topics: Sequence[str], *, partitions: int, compacted: bool = False) -> None:
        with unavailable():
            await self.pool.executemany(
                "insert into topics (name, partitions, compacted) values ($1, $2, $3) on conflict (name) do nothing",
                [(name, partitions, compacted) for name in sorted(topics)],
            )
        for name in topics:
            if (found := (await self.topic(name, renew=True)).partitions) != partitions:
                raise ValueError(f"topic {name} has {found} partitions, not {partitions}")

    async def topic(self, name: str, *, renew: bool = False) -> Topic:
        """What is known of a topic; raise LogUnavailable if there is none of that name."""
        if renew or name not in self._topics:
            self._topics.pop(name, None)
            with unavailable():
                row = await self.pool.fetchrow(
                    "select topic_id, name, partitions, compacted from topics where name = $1", name
                )
            if row is None:
                raise LogUnavailable(f"there is no topic {name}")
            self._topics[name] = Topic(*row)
        return self._topics[name]

    async def publisher(self) -> "LocalPublisher":
        return LocalPublisher(self)

    async def subscribe(self, topics: Sequence[str], *, group: str, start_at: StartAt) -> LocalSubscription:
        return LocalSubscription(self, [await self.topic(name) for name in topics], group=group, start_at=start_at)

    async def last_records(self, topic: str) -> Mapping[int, LocalRecord]:
        last = await self.end_offsets(topic)
        found = await self.read_many(
            {TopicPartition(topic, partition): end - 1 for partition, end in last.items() if end}, max_records=len(last)
        )
        return {partition.partition: records[-1] for partition, records in found.items()}

    async def end_offsets(self, topic: str) -> Mapping[int, int]:
        known = await self.topic(topic)
        with unavailable():
            rows = await self.pool.fetch(
                """
                select p as partition,
                       coalesce(
                           (select r."offset" + 1
                              from records r
                             where r.topic_id = $1
                               and r.partition = p
                             order by r."offset" desc
                             limit 1),
                           0
                       ) as next_offset
                  from generate_series(0, $2::integer - 1) p
                """,
                known.id,
                known.partitions,
            )
        return {row["partition"]: row["next_offset"] for row in rows}

    async def read(self, partition: TopicPartition, *, offset: int, max_records: int) -> Sequence[LocalRecord]:
        return (await self.read_many({partition: offset}, max_records=max_records)).get(partition, [])

    async def read_many(
        self, positions: Mapping[TopicPartition, int], *, max_records: int
    ) -> dict[TopicPartition, list[LocalRecord]]:
        """The next records of several partitions, at most `max_records` in all, earlier partitions first."""
        wanted = list(positions)
        topics = [await self.topic(partition.topic) for partition in wanted]
        with unavailable():
            rows = await self.pool.fetch(
                """
                select p.number, r."offset", r.key, r.headers, r.value
                  from unnest($1::smallint[], $2::smallint[], $3::bigint[])
                       with ordinality as p (topic_id, partition, first, number)
                 cross join lateral (
                       select "offset", key, headers, value
                         from records
                        where topic_id = p.topic_id
                          and partition = p.partition
                          and "offset" >= p.first
                        order by "offset"
                        limit $4
                       ) r
                 limit $4
                """,
                [topic.id for topic in topics],
                [partition.partition for partition in wanted],
                list(positions.values()),
                max_records,
            )
        found: dict[TopicPartition, list[LocalRecord]] = {}
        for number, offset, key, headers, value in rows:
            topic, partition = where = wanted[number - 1]
            record = LocalRecord(topic, partition, offset, key, _decode_headers(headers), value)
            found.setdefault(where, []).append(record)
        return found

    async def heartbeat(self, group: str, member: str, topics: Sequence[str]) -> dict[str, list[str]]:
        """Note that a member of a group lives; return all living members with their topics."""
        with unavailable():
            rows = await self.pool.fetch(
                """
                with gone as (
                    delete from group_members
                     where group_name = $1
                       and heartbeat_at < now() - $4::double precision * interval '1 second'
                       and member <> $2
                ), alive as (
                    insert into group_members (group_name, member, topics, heartbeat_at)
                    values ($1, $2, $3, now())
                    on conflict (group_name, member) do update set heartbeat_at = excluded.heartbeat_at
                )
                select member, topics
                  from group_members
                 where group_name = $1
                   and heartbeat_at >= now() - $4::double precision * interval '1 second'
                   and member <> $2
                """,
                group,
                member,
                topics,
                self.session_timeout_seconds,
            )
        return {member: list(topics)} | {row["member"]: row["topics"] for row in rows}

    async def leave(self, group: str, member: str) -> None:
        with unavailable():
            await self.pool.execute("delete from group_members where group_name = $1 and member = $2", group, member)

    def wake_on(self, topic: str, wake: Callable[[], None]) -> None:
        """Call `wake` whenever something was appended to the topic, and whenever something may have been missed."""
        self._readers.setdefault(topic, set()).add(wake)

    def forget(self, wake: Callable[[], None]) -> None:
        for readers in self._readers.values():
            readers.discard(wake)

    def appended(self, topics: set[str]) -> None:
        """Wake the readers of these topics, here and in other processes."""
        self._wake(topics)
        self._unannounced |= topics
        self._announce.set()

    def _wake(self, topics: set[str]) -> None:
        for topic in topics:
            for wake in self._readers.get(topic, ()):
                wake()

    async def _announce_appends(self) -> None:
        # Not in the appending transaction: commits that notify wait for one another in PostgreSQL. What is appended
        # while one notification is under way is told by the next; one that is lost is made good by the slow poll.
        while True:
            await self._announce.wait()
            self._announce.clear()
            topics, self._unannounced = self._unannounced, set()
            with contextlib.suppress(LogUnavailable), unavailable():
                await self.pool.execute("select pg_notify($1, $2)", CHANNEL, " ".join([self._name, *sorted(topics)]))

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(LogUnavailable), unavailable():
                await self._listen_once()
            await asyncio.sleep(1)

    async def _listen_once(self) -> None:
        lost = asyncio.Event()
        connection = await asyncpg.connect(self._dsn, timeout=REQUEST_SECONDS, command_timeout=REQUEST_SECONDS)
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, self._heard)
            self._wake(set(self._readers))
            await lost.wait()
        finally:
            connection.terminate()

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        sender, *topics = str(payload).split()
        if sender != self._name:
            self._wake(set(topics))


class LocalPublisher:
    """See `shared.messaging.log.Publisher`. Everything given to one `send` is appended in one transaction."""

    def __init__(self, log: LocalLog) -> None:
        self._log = log
        self._one_at_a_time = asyncio.Lock()
        self._closed = False

    async def send(self, batches: Mapping[TopicPartition, Sequence[Outgoing]], *, timeout_seconds: float) -> None:
        async with self._one_at_a_time:
            if self._closed:
                raise LogUnavailable("this publisher is closed")
            self._closed = True
            with unavailable():
                async with asyncio.timeout(timeout_seconds):
                    await self._append({where: records for where, records in batches.items() if records})
            self._closed = False
        self._log.appended({where.topic for where in batches})

    async def _append(self, batches: Mapping[TopicPartition, Sequence[Outgoing]]) -> None:
        topics = [await self._log.topic(where.topic) for where in batches]
        for topic, where in zip(topics, batches, strict=True):
            if not 0 <= where.partition < topic.partitions:
                raise LogUnavailable(f"topic {topic.name} has no partition {where.partition}")
        records = [
            (target, ordinal, record)
            for target, batch in enumerate(batches.values(), 1)
            for ordinal, record in enumerate(batch)
        ]
        await self._log.pool.execute(
            "select append_records($1, $2, $3, $4, $5, $6, $7)",
            [topic.id for topic in topics],
            [where.partition for where in batches],
            [target for target, _, _ in records],
            [ordinal for _, ordinal, _ in records],
            [record.key for _, _, record in records],
            [_encode_headers(record.headers) for _, _, record in records],
            [record.value for _, _, record in records],
        )

    async def close(self) -> None:
        self._closed = True
