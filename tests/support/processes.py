"""Roles of services as processes of their own, started, armed with failpoints, stopped in the middle and killed by suites."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

READY_SECONDS = 40


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
    """

    def __init__(self, service: str, role: str, environment: Mapping[str, str], hits: Path, output: Path) -> None:
        self.name = f"{service} {role}"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/{service}"
        self._words = [f"services.{service}", role]
        self._environment = {**environment, "QUNLI_PORT": str(self.port)}
        self._hits = hits
        self._output = output
        self._process: asyncio.subprocess.Process | None = None

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self, failpoints: str = "", *, clock_seconds: int = 0) -> None:
        """Start it.

        Args:
            failpoints: as in shared/failpoints.py.
            clock_seconds: how wrong its clock is.
        """
        environment = {**os.environ, **self._environment, "QUNLI_FAILPOINTS": failpoints}
        environment["QUNLI_FAILPOINTS_LOG"] = str(self._hits)
        command = ["-m", "tests.support.clocks", str(clock_seconds)] if clock_seconds else ["-m"]
        with self._output.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                *self._words,
                env=environment,
                stdout=output,
                stderr=output,
                stdin=asyncio.subprocess.DEVNULL,
            )

    async def is_ready(self) -> bool:
        async with httpx.AsyncClient(timeout=5) as client:
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
            self._process.kill()
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
            self._process.kill()
            await self._process.wait()
            raise
