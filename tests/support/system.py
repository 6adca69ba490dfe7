"""The whole system as `make run` starts it: a process of its own, with its own PostgreSQL, on a free port."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import wait_until
from tests.support import ordinary

ROOT = Path(__file__).parents[2]
START_SECONDS = 40.0
"""Far more than it takes: tests run beside each other on busy machines."""

_READY = "Qunli runs at "


class System:
    """One `make run` on one state folder; may be started again after it ended.

    Args:
        state: where its data are.
        port: that it is asked to take; 0: any.
        ordinary_python: run as an ordinary user, with this interpreter.
        kafka: bootstrap servers of the log; None: on `LocalLog`.
    """

    def __init__(
        self, state: Path, *, port: int = 0, ordinary_python: str | None = None, kafka: str | None = None
    ) -> None:
        self.state = state
        self._command = [ordinary_python or sys.executable, "-m", "deploy.local.run"]
        self._command += ["--port", str(port), "--state", str(state)]
        self._account: dict[str, Any] = {}
        if ordinary_python is not None:
            user, group = ordinary.NOBODY
            self._account = {"user": user, "group": group, "extra_groups": [], "env": ordinary.environment()}
        self._log = "local" if kafka is None else "kafka"
        self._command += ["--log", self._log]
        if kafka is not None:
            self._account["env"] = {**os.environ, "QUNLI_KAFKA_BOOTSTRAP_SERVERS": kafka}
        self._process: subprocess.Popen[bytes] | None = None
        self._said = Path(tempfile.mkstemp(prefix="qunli-said-")[1])

    @property
    def said(self) -> str:
        """What it has written."""
        return self._said.read_text()

    @property
    def url(self) -> str:
        return self.said.split(_READY, 1)[1].split("/ ", 1)[0]

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def start(self) -> None:
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, stdout=said, stderr=said, start_new_session=True, **self._account
            )
        process = self.process
        wait_until(lambda: _READY in self.said or process.poll() is not None, START_SECONDS)
        assert process.poll() is None and _READY in self.said, self.said

    def family(self) -> list[psutil.Process]:
        """The process and everything it has started."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def end(self, number: signal.Signals, timeout_seconds: float = 20.0) -> int:
        """Send the signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout_seconds)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.end(signal.SIGTERM)
        self._said.unlink()

    async def row_counts(self) -> dict[str, int]:
        """How many rows each table of each database has."""
        postgres = EmbeddedPostgres(self.state / f"postgres-{self._log}", port=self._postgres_port())
        counts = {}
        for database in ("membership", "content", "campaigns", "scoring", "qunli_log"):
            connection = await asyncpg.connect(postgres.dsn(database))
            try:
                tables = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
                for (table,) in tables:
                    rows = await connection.fetchval(f'select count(*) from "{table}"')
                    counts[f"{database}.{table}"] = int(rows)
            finally:
                await connection.close()
        return counts

    def _postgres_port(self) -> int:
        """As the command line of the server says; its sessions come and go while we look."""
        for one in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):  # ended meanwhile, or a zombie
                words = one.cmdline()
                if one.name() == "postgres" and "-D" in words:
                    return int(next(word for word in words if word.startswith("port=")).removeprefix("port="))
        raise AssertionError(f"PostgreSQL does not run:\n{self.said}")


@contextmanager
def state_folder() -> Iterator[Path]:
    """A folder that other users can walk down to, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="qunli-state-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def running_system(*, kafka: str | None = None) -> Iterator[System]:
    with state_folder() as state:
        system = System(state, kafka=kafka)
        try:
            system.start()
            yield system
        finally:
            system.close()


@pytest.fixture(scope="package")
def system() -> Iterator[System]:
    """One running system for all tests of a folder that only talk to it."""
    with running_system() as running:
        yield running


def run_tool(module: str, *arguments: str | os.PathLike[str], timeout_seconds: float = 120) -> tuple[int, str]:
    """Run `python -m <module>` as a recipe of the Makefile does: exit code, and what it wrote on both channels."""
    command: Sequence[str] = [sys.executable, "-m", module, *(os.fspath(argument) for argument in arguments)]
    environment = {name: value for name, value in os.environ.items() if name not in {"DUMP", "CDNOW", "COMMUNITY"}}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    return done.returncode, done.stdout
