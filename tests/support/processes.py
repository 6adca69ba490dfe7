"""Roles of services as processes of their own, started, armed with failpoints, stopped in the middle and killed by suites."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import httpx

READY_SECONDS = 40


class Running(Protocol):
    """A process that was started: as much of `asyncio.subprocess.Process` as is needed here."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    async def wait(self) -> int: ...

    def send_signal(self, signal: int) -> None: ...


Launch: TypeAlias = Callable[[Sequence[str], Mapping[str, str], Path, int], Awaitable[Running]]
"""Start `python -m <words>` with that environment, file for its output, and seconds by which its clock is wrong."""


async def by_interpreter(
    words: Sequence[str], environment: Mapping[str, str], output: Path, clock_seconds: int
) -> Running:
    """Start it with an interpreter of its own."""
    clock = ["tests.support.clocks", str(clock_seconds)] if clock_seconds else []
    with output.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *clock,
            *words,
            env=environment,
            stdout=file,
            stderr=file,
            stdin=asyncio.subprocess.DEVNULL,
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Role:
    """One role of one service.

    Args:
        service, role: as in `python -m services.<service> <role>`.
        environment: settings of the service.
        hits: file to which processes append the failpoints they reach.
        output: file for what the processes print.
        launch: how they are started.
        name: by which it is told from others of the same role.
    """

    def __init__(
        self,
        service: str,
        role: str,
        environment: Mapping[str, str],
        hits: Path,
        output: Path,
        launch: Launch = by_interpreter,
        name: str | None = None,
    ) -> None:
        self.service = service
        self.role = role
        self.name = name or f"{service} {role}"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/{service}"
        self._words = [f"services.{service}", role]
        self._environment = {**environment, "QUNLI_PORT": str(self.port)}
        self._hits = hits
        self._output = output
        self._launch = launch
        self._process: Running | None = None

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def stands(self) -> bool:
        """Whether a signal has stopped it."""
        assert self._process is not None
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        except OSError:  # it has ended
            return False
        return stat.rpartition(")")[2].split()[0] == "T"

    async def start(self, failpoints: str = "", *, clock_seconds: int = 0) -> None:
        """Start it.

        Args:
            failpoints: as in shared/failpoints.py.
            clock_seconds: how wrong its clock is.
        """
        environment = {**os.environ, **self._environment, "QUNLI_FAILPOINTS": failpoints}
        environment["QUNLI_FAILPOINTS_LOG"] = str(self._hits)
        self._process = await self._launch(self._words, environment, self._output, clock_seconds)

    async def is_ready(self) -> bool:
        # Without certificates, whose loading would take more time than all the rest.
        async with httpx.AsyncClient(timeout=5, verify=False, trust_env=False) as client:
            try:
                return (await client.get(f"{self.url}/readyz")).status_code == 200
            except httpx.TransportError:
                return False

    async def until_ready(self) -> None:
        async with asyncio.timeout(READY_SECONDS):
            while not await self.is_ready():
                assert self._process is not None
                assert self._process.returncode is None, f"{self.name} ended: see {self._output}"
                await asyncio.sleep(0.05)

    async def ended(self, seconds: float) -> int:
        """Its exit code, once it has ended; raise TimeoutError if it does not."""
        assert self._process is not None
        async with asyncio.timeout(seconds):
            return await self._process.wait()

    async def until_killed(self, seconds: float) -> None:
        """Wait until a failpoint has killed it."""
        code = await self.ended(seconds)
        assert code == -signal.SIGKILL, f"{self.name} ended with {code}, not by SIGKILL: see {self._output}"

    async def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    def pause(self) -> None:
        """SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that is not enough."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(12):
                await self._process.wait()
        except TimeoutError:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()
            raise
