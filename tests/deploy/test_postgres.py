"""The embedded PostgreSQL: it keeps data however it ends, and leaves no process and no changed permission."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local import postgres as module
from deploy.local.folders import outside
from deploy.local.postgres import FAST, EmbeddedPostgres, copy_of_binaries, wipe
from deploy.local.processes import ServerFailed, living, spawn, wait_until
from tests.support import ordinary

RUN_AND_WAIT = """
import asyncio, sys, time
from pathlib import Path
from deploy.local.postgres import FAST, EmbeddedPostgres
cluster = EmbeddedPostgres(Path(sys.argv[1]), settings=FAST)
cluster.start()
asyncio.run(cluster.ensure_database("kept"))
print("ready", flush=True)
time.sleep(60)
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="is about what root does")


@pytest.fixture
def folder(server_folder: Path, unique: Callable[[str], str]) -> Iterator[Path]:
    folder = server_folder / unique("cluster")
    yield folder
    wipe(folder)


def processes_of(folder: Path) -> list[int]:
    return living("postgres", EmbeddedPostgres(folder)._name)


async def write(cluster: EmbeddedPostgres) -> None:
    await cluster.ensure_database("kept")
    connection = await asyncpg.connect(cluster.dsn("kept"))
    await connection.execute("create table if not exists facts (fact text)")
    await connection.execute("insert into facts values ('joined')")
    await connection.close()


async def written(cluster: EmbeddedPostgres) -> int:
    connection = await asyncpg.connect(cluster.dsn("kept"))
    count: int = await connection.fetchval("select count(*) from facts")
    await connection.close()
    return count


def start_elsewhere(folder: Path) -> "subprocess.Popen[str]":
    """Another process that runs the cluster, and is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_AND_WAIT, str(folder)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.stdout.close()
    return process


def test_stopping_leaves_no_process(folder: Path) -> None:
    with EmbeddedPostgres(folder, settings=FAST):
        assert processes_of(folder)
    assert processes_of(folder) == []


@pytest.mark.parametrize("settings", [{}, FAST], ids=["durable", "fast"])
async def test_data_survive_every_way_of_stopping(folder: Path, settings: dict[str, str | int]) -> None:
    cluster = EmbeddedPostgres(folder, settings=settings)
    cluster.start()
    port = cluster.port
    for count, end in enumerate((cluster.stop, cluster.stop_immediately, cluster.kill), start=1):
        await write(cluster)
        end()
        assert processes_of(folder) == []
        cluster.start()
        assert await written(cluster) == count
    assert cluster.port == port
    cluster.stop()


async def test_it_starts_again_after_its_postmaster_was_killed(folder: Path) -> None:
    cluster = EmbeddedPostgres(folder)
    cluster.start()
    await write(cluster)
    waiting = await asyncpg.connect(cluster.dsn("kept"))  # holds the old shared memory until it notices
    assert cluster.process_id is not None
    os.kill(cluster.process_id, signal.SIGKILL)
    assert wait_until(lambda: cluster.process_id is None, 5)
    cluster.start()
    assert await written(cluster) == 1
    waiting.terminate()
    cluster.stop()
    assert processes_of(folder) == []


def test_it_ends_when_its_parent_is_killed(folder: Path) -> None:
    parent = start_elsewhere(folder)
    parent.kill()
    parent.wait()
    assert wait_until(lambda: processes_of(folder) == [], 10)


async def test_an_orphan_that_does_not_end_is_ended_by_the_next_start(folder: Path) -> None:
    parent = start_elsewhere(folder)
    for process in processes_of(folder):
        os.kill(process, signal.SIGSTOP)  # too slow to follow its parent
    parent.kill()
    parent.wait()
    with EmbeddedPostgres(folder, settings=FAST) as cluster:
        await write(cluster)
        assert await written(cluster) == 1
    assert processes_of(folder) == []


async def test_two_processes_do_not_share_a_folder(folder: Path) -> None:
    parent = start_elsewhere(folder)
    before = processes_of(folder)
    with pytest.raises(ServerFailed, match=f"in use by process {parent.pid}"):
        EmbeddedPostgres(folder).start()
    assert processes_of(folder) == before
    parent.terminate()
    parent.wait()
    assert wait_until(lambda: processes_of(folder) == [], 10)


def test_what_an_interrupted_first_start_left_is_thrown_away(folder: Path) -> None:
    (folder / "data.new" / "base").mkdir(parents=True)
    (folder / "password.new").write_text("half")
    with EmbeddedPostgres(folder, settings=FAST):
        assert sorted(path.name for path in folder.iterdir()) == ["data", "lock", "postgres.log", "secret"]


async def test_only_who_can_read_the_secret_gets_in(folder: Path) -> None:
    with EmbeddedPostgres(folder, settings=FAST) as cluster:
        await cluster.ensure_database("kept")
        assert stat.S_IMODE((folder / "secret").stat().st_mode) == 0o600
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(cluster.dsn("kept").replace(cluster._password("qunli"), "guessed"))


async def test_the_owner_of_a_database_is_no_superuser(folder: Path) -> None:
    with EmbeddedPostgres(folder) as cluster:
        await cluster.ensure_database("kept")
        connection = await asyncpg.connect(cluster.dsn("kept"))
        assert await connection.fetchval("show is_superuser") == "off"
        assert await connection.fetchval("show fsync") == "on"
        assert await connection.fetchval("show data_checksums") == "on"
        await connection.close()


def test_a_server_is_not_started_in_a_thread_that_may_end(folder: Path) -> None:
    errors: list[Exception] = []

    def start() -> None:
        try:
            spawn(["/bin/true"], log=folder / "log", death_signal=signal.SIGTERM)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(errors[0])


@as_root
def test_root_gives_away_only_what_it_made(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    with EmbeddedPostgres(folder, settings=FAST) as cluster:
        assert (folder / "data").stat().st_uid != 0
        assert folder.stat().st_uid == 0
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
        assert Path(f"/proc/{cluster.process_id}").stat().st_uid == (folder / "data").stat().st_uid


@as_root
async def test_root_runs_it_below_folders_that_nobody_may_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    hidden_binaries = copy_of_binaries(closed)
    monkeypatch.setattr(module, "binaries", lambda: hidden_binaries)
    folder = closed / "state" / "cluster"
    try:
        for _ in range(2):
            with EmbeddedPostgres(folder, settings=FAST) as cluster:
                await write(cluster)
        with EmbeddedPostgres(folder, settings=FAST) as cluster:
            assert await written(cluster) == 2
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert outside(folder).exists()
    finally:
        wipe(folder)
    assert not outside(folder).exists()
    assert not folder.exists()


@as_root
def test_it_runs_for_an_ordinary_user_too(folder: Path) -> None:
    python = ordinary.python("deploy.local.postgres")
    if python is None:
        pytest.skip("no Python that the user nobody can run")
    folder.mkdir()
    shutil.chown(folder, "nobody")
    process = subprocess.Popen(
        [python, "-c", RUN_AND_WAIT, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=ordinary.environment(),
        user="nobody",
        group=65534,
        extra_groups=[],
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
    assert wait_until(lambda: processes_of(folder) == [], 10)
    # And root goes on with it, as the same user.
    owner = (folder / "data").stat().st_uid
    with EmbeddedPostgres(folder, settings=FAST) as cluster:
        assert Path(f"/proc/{cluster.process_id}").stat().st_uid == owner
