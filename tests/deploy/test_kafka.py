"""The local Apache Kafka: only the pinned jars run, and what was acknowledged is there after every way of ending."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.kafka import VERSION, EmbeddedKafka, pinned, verify
from deploy.local.processes import ServerFailed, living, wait_until

RUN_AND_WAIT = """
import sys, time
from pathlib import Path
from deploy.local.kafka import EmbeddedKafka
broker = EmbeddedKafka(Path(sys.argv[1]), heap="256m")
broker.start()
print("ready", flush=True)
time.sleep(120)
"""


@pytest.fixture
def jars(kafka: EmbeddedKafka, tmp_path: Path) -> Path:
    """A cache that holds the real jars, to spoil."""
    folder = tmp_path / "jars"
    folder.mkdir()
    for name in pinned():
        (folder / name).symlink_to(kafka._jars / name)
    return folder


async def write(bootstrap_servers: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all")
    await producer.start()
    await producer.send_and_wait(topic, b"joined", partition=0)
    await producer.stop()


async def read(bootstrap_servers: str, topic: str) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers)
    await consumer.start()
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek(partition, 0)
    records = await consumer.getmany(timeout_ms=10_000)
    await consumer.stop()
    return [record.value for record in records[partition]]


def test_the_pinned_jars_are_accepted(jars: Path) -> None:
    verify(jars)
    assert f"kafka_2.13-{VERSION}.jar" in pinned()


@pytest.mark.parametrize("spoil", ["changed", "missing", "added"])
def test_other_jars_than_the_pinned_ones_are_refused(jars: Path, tmp_path: Path, spoil: str) -> None:
    jar = jars / f"kafka-clients-{VERSION}.jar"
    changed = bytearray(jar.read_bytes())
    changed[1000] ^= 1
    if spoil == "added":
        jar = jar.with_name("intruder.jar")
    else:
        jar.unlink()
    if spoil != "missing":
        jar.write_bytes(changed)
    broker = EmbeddedKafka(tmp_path / "broker", jars=jars)
    with pytest.raises(ServerFailed, match=jar.name):
        broker.start()
    assert broker.process_id is None
    assert not (tmp_path / "broker").exists()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_records_survive_a_restart_on_the_same_port(
    kafka: EmbeddedKafka, unique: Callable[[str], str], end: str
) -> None:
    address, topic = kafka.bootstrap_servers, unique("restart")
    await write(address, topic)
    getattr(kafka, end)()
    try:
        assert living("java", kafka._marker) == []
    finally:
        kafka.start()
    assert kafka.bootstrap_servers == address
    assert await read(address, topic) == [b"joined"]


@pytest.mark.timeout(180)
def test_it_ends_when_its_parent_is_killed(server_folder: Path, unique: Callable[[str], str]) -> None:
    folder = server_folder / unique("kafka")
    parent = subprocess.Popen([sys.executable, "-c", RUN_AND_WAIT, str(folder)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    parent.stdout.close()
    marker = EmbeddedKafka(folder)._marker
    assert len(living("java", marker)) == 1
    parent.kill()
    parent.wait()
    assert wait_until(lambda: living("java", marker) == [], 30)
