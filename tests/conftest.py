"""What every test may ask for: real servers, fresh databases, fresh names."""

import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka import JARS, EmbeddedKafka, fetch
from deploy.local.postgres import FAST, EmbeddedPostgres
from deploy.local.processes import FolderLock, ServerFailed
from shared.messaging.log import Log
from tests.support.databases import Databases
from tests.support.published import checked_kafka

VERSIONS = pytest.StashKey[dict[str, str]]()
BACKED_BY = {"kafka": "Apache Kafka", "postgres": "PostgreSQL"}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Makes a name that no other test has: `unique("topic")`."""
    return lambda stem: f"{stem}-{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Where servers of this run keep their data: unlike pytest's own folders, other users can walk down to it."""
    for lock_of_old in Path(tempfile.gettempdir()).glob("qunli-tests-*/lock"):
        remove_abandoned(lock_of_old.parent)
    folder = Path(tempfile.mkdtemp(prefix="qunli-tests-"))
    folder.chmod(0o755)
    lock = FolderLock(folder)
    lock.acquire()
    yield folder
    shutil.rmtree(folder)
    lock.release()


def remove_abandoned(folder: Path) -> None:
    """Remove the folder of a run that was killed."""
    lock = FolderLock(folder)
    try:
        lock.acquire(timeout_seconds=0)
    except (ServerFailed, OSError):
        return
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()


@pytest.fixture(scope="session")
def postgres(server_folder: Path, pytestconfig: pytest.Config) -> Iterator[EmbeddedPostgres]:
    """The cluster of this run. Do not stop it: `private_postgres` is for that."""
    with EmbeddedPostgres(server_folder / "postgres", settings={**FAST, "max_connections": 120}) as cluster:
        pytestconfig.stash[VERSIONS]["postgres"] = cluster.version
        yield cluster


@pytest.fixture
def private_postgres(server_folder: Path, unique: Callable[[str], str]) -> Iterator[EmbeddedPostgres]:
    """A cluster of the test's own, to stop, kill and start again."""
    with EmbeddedPostgres(server_folder / unique("postgres"), settings=FAST) as cluster:
        yield cluster
    shutil.rmtree(cluster.folder)


@pytest.fixture(scope="session")
def databases(postgres: EmbeddedPostgres) -> Databases:
    return Databases(postgres)


@pytest.fixture
async def database(databases: Databases, anyio_backend: str) -> AsyncIterator[str]:
    """DSN of a fresh, empty database."""
    async with databases.fresh() as dsn:
        yield dsn


@pytest.fixture
async def kernel_database(databases: Databases, anyio_backend: str) -> AsyncIterator[str]:
    """DSN of a fresh database with the kernel's tables."""
    async with databases.fresh(template=await databases.kernel_template()) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def kafka(server_folder: Path, pytestconfig: pytest.Config) -> Iterator[EmbeddedKafka]:
    """The broker of this run. A test that stops it starts it again."""
    with checked_kafka(server_folder / "kafka") as broker:
        pytestconfig.stash[VERSIONS]["kafka"] = broker.version
        yield broker


@pytest.fixture
def private_kafka(
    server_folder: Path, unique: Callable[[str], str], pytestconfig: pytest.Config
) -> Iterator[EmbeddedKafka]:
    """A broker of the test's own, for topics whose names are fixed: all that the test leaves there is checked."""
    with checked_kafka(server_folder / unique("kafka")) as broker:
        pytestconfig.stash[VERSIONS]["kafka"] = broker.version
        yield broker
    shutil.rmtree(broker.folder)


@pytest.fixture(
    params=[pytest.param("local", marks=pytest.mark.postgres), pytest.param("kafka", marks=pytest.mark.kafka)]
)
def log_address(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The kind of log, and where it is. Not async: only so may it ask for the one fixture that its kind needs."""
    kind = str(request.param)
    if kind == "local":
        return kind, request.getfixturevalue("database")
    return kind, request.getfixturevalue("kafka").bootstrap_servers


@pytest.fixture
async def log(log_address: tuple[str, str], anyio_backend: str) -> AsyncIterator[Log]:
    """An open log, of both kinds in turn."""
    opened: Any
    kind, address = log_address
    if kind == "local":
        from shared.messaging.local import LocalLog

        opened = await LocalLog.open(address)
    else:
        from shared.messaging.kafka import KafkaLog

        opened = await KafkaLog.open(address)
    try:
        yield opened
    finally:
        await opened.close()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[VERSIONS] = {}


def servers_of(item: pytest.Item) -> set[str]:
    """The real servers that a test asks for."""
    asked = {name.removeprefix("private_") for name in getattr(item, "fixturenames", ())}
    return (asked | {mark.name for mark in item.iter_markers()}) & BACKED_BY.keys()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the files, those whose tests may take longest come first: none is left for the end."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        longest: dict[Path, float] = {}
        for item in items:
            marked = item.get_closest_marker("timeout")
            longest[item.path] = max(longest.get(item.path, 0.0), marked.args[0] if marked else 0.0)
        items.sort(key=lambda item: -longest[item.path])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch Kafka's jars, the first time, before the clock of any test runs."""
    if not session.config.option.collectonly and any("kafka" in servers_of(item) for item in session.items):
        try:
            fetch(JARS)
        except Exception as error:
            raise pytest.UsageError(f"Apache Kafka cannot be fetched: {error}") from error


def pytest_runtest_call(item: pytest.Item) -> None:
    versions = item.config.stash[VERSIONS]
    item.user_properties += [(server, versions.get(server, "")) for server in servers_of(item)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which real servers the tests ran against, in whichever process."""
    reports = [
        each for kind in ("passed", "failed") for each in terminalreporter.getreports(kind) if each.when == "call"
    ]
    properties = [property for each in reports for property in each.user_properties]
    for server, name in BACKED_BY.items():
        versions = [version for kind, version in properties if kind == server]
        terminalreporter.write_line(f"{len(versions)} tests ran against {name} {max(versions, default='')}".rstrip())
