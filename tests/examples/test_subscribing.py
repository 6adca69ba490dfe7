"""The program of docs/subscribing.md, just as it stands there, on a real Kafka: it counts each fact once, whatever happens."""

import asyncio
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres
from shared.messaging.kafka import KafkaLog
from shared.messaging.log import Outgoing, TopicPartition
from tests.examples.snippets import blocks
from tests.kills.load import Load
from tests.kills.world import PERSONS, world
from tests.support.system import ROOT
from tests.support.toy import Writer

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

PAGE = ROOT / "docs" / "subscribing.md"
STARTED_SECONDS = 30
KILLS = 4


class Subscriber:
    """The page's program in a folder of its own, started as the page says."""

    def __init__(self, folder: Path, brokers: str, topic: str) -> None:
        self._folder = folder
        [program] = blocks(PAGE, "python")
        [command] = blocks(PAGE, "bash")
        (folder / "subscriber.py").write_text(program.text)
        own = {"python3": sys.executable, "127.0.0.1:9092": brokers, "content.events": topic}
        self._command = [own.get(word, word) for word in shlex.split(command.text)]
        assert topic in self._command and brokers in self._command

    def start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(self._command, cwd=self._folder, stderr=subprocess.PIPE, text=True)

    def until_it_ends(self) -> str:
        """What it says at its end."""
        process = self.start()
        _, said = process.communicate(timeout=STARTED_SECONDS)
        assert process.returncode == 1, said
        return said

    def posts(self) -> dict[str, int]:
        """What it has made of the facts."""
        try:
            with closing(sqlite3.connect(self._folder / "posts.db", timeout=20)) as db:
                return {author: n for author, n in db.execute("select author, n from posts") if n}
        except sqlite3.OperationalError:  # it has not made its tables yet
            return {}

    async def until(self, condition: Callable[[Mapping[str, int]], bool]) -> None:
        async with asyncio.timeout(STARTED_SECONDS):
            while not condition(self.posts()):
                await asyncio.sleep(0.02)


async def repeats(brokers: str, topic: str) -> int:
    """How many records stand there more than once."""
    log = await KafkaLog.open(brokers)
    try:
        seen = Counter[bytes]()
        for partition, end in (await log.end_offsets(topic)).items():
            offset = 0
            while offset < end:
                for record in await log.read(TopicPartition(topic, partition), offset=offset, max_records=1000):
                    seen[dict(record.headers)["ce_id"]] += 1
                    offset = record.offset + 1
        return sum(times - 1 for times in seen.values())
    finally:
        await log.close()


async def test_it_counts_every_fact_once_though_the_relay_repeats_and_it_is_killed(
    postgres: EmbeddedPostgres, private_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    servers = private_kafka.bootstrap_servers
    async with world(postgres, tmp_path, "subscribing", log="kafka", kafka=servers) as place:
        api, relay = place.roles["content api"], place.roles["content relay"]
        await asyncio.gather(api.start(), relay.start("relay.after-all-acks=kill@5"))
        await api.until_ready()
        load = Load(api.url, place.community, PERSONS, place.token, seed=11)
        acting = asyncio.create_task(load.run(6))
        await relay.until_killed(STARTED_SECONDS)  # what it has sent and not noted comes again

        subscriber = Subscriber(tmp_path, servers, "content.events")
        await relay.start("relay.after-all-acks=kill@20")
        counted = 0
        for _ in range(KILLS):
            process = subscriber.start()
            await subscriber.until(lambda posts, more=counted: sum(posts.values()) > more)  # type: ignore[misc]
            process.send_signal(signal.SIGKILL)
            process.communicate()
            counted = sum(subscriber.posts().values())
        await relay.until_killed(STARTED_SECONDS)
        load.stop()
        await acting
        await relay.start()

        process = subscriber.start()
        expected = Counter(load.person_of(number) for number in load.published.keys() - load.removed)
        assert sum(expected.values()) > 100
        try:
            await subscriber.until(lambda posts: posts == expected)
            await asyncio.sleep(1)
            assert (process.poll(), subscriber.posts()) == (None, expected)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()
        assert await repeats(servers, "content.events") > 0


@pytest.fixture
async def log(kafka: EmbeddedKafka, anyio_backend: str) -> AsyncIterator[KafkaLog]:
    opened = await KafkaLog.open(kafka.bootstrap_servers)
    yield opened
    await opened.close()


async def publish(log: KafkaLog, writer: Writer) -> None:
    """Put the records of this writer into the log."""
    records = [Outgoing(record.key, record.headers, record.value) for record in writer.records]
    writer.records.clear()
    publisher = await log.publisher()
    await publisher.send({TopicPartition(writer.topic, 0): records}, timeout_seconds=10)
    await publisher.close()


async def test_it_stops_at_a_gap_and_undoes_what_a_restored_publisher_no_longer_knows(
    kafka: EmbeddedKafka, log: KafkaLog, unique: Callable[[str], str], tmp_path: Path
) -> None:
    writer = Writer(unique("content.events"), 0)
    await log.create_topics([writer.topic], partitions=1)

    def post(author: str) -> None:
        writer.write(author, kind="content.post-published.v1", author=author)

    subscriber = Subscriber(tmp_path, kafka.bootstrap_servers, writer.topic)
    post("ana")
    backup = writer.last
    post("ben")
    post("ben")
    await publish(log, writer)
    process = subscriber.start()
    await subscriber.until(lambda posts: posts == {"ana": 1, "ben": 2})

    writer.epoch, writer.last = 2, backup
    post("cy")
    await publish(log, writer)
    _, said = await asyncio.to_thread(process.communicate)
    assert "was restored. Start again" in said
    assert (process.returncode, subscriber.posts()) == (1, {})
    process = subscriber.start()
    await subscriber.until(lambda posts: posts == {"ana": 1, "cy": 1})

    writer.epoch = 3  # restored again, to a time after the last fact: nothing is void
    post("dan")
    await publish(log, writer)
    await subscriber.until(lambda posts: posts == {"ana": 1, "cy": 1, "dan": 1})

    post("eve")
    post("fay")
    del writer.records[0]
    await publish(log, writer)
    _, said = await asyncio.to_thread(process.communicate)
    assert "are missing" in said
    assert (process.returncode, subscriber.posts()) == (1, {"ana": 1, "cy": 1, "dan": 1})
    assert "are missing" in await asyncio.to_thread(subscriber.until_it_ends)
