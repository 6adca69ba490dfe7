"""Starts roles of services in a fraction of the time: a process that has imported everything, and forks for each role.

What runs is what `python -m services.<service> <role>` runs, in a process of its own; only the imports are shared.
"""

import asyncio
import ctypes
import importlib
import json
import os
import select
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from deploy.local.launcher import PR_SET_PDEATHSIG
from shared import command_line, failpoints
from tests.support.clocks import move_clock
from tests.support.processes import Running

SERVICES = ("membership", "content", "campaigns", "scoring")
LOOK_SECONDS = 0.02


class Forged:
    """A process that the forge has started. It is the forge's child, so the forge tells how it ended."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._ended = asyncio.Event()
        self.returncode: int | None = None

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, signal: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal)

    def end(self, code: int) -> None:
        self.returncode = code
        self._ended.set()


class Forge:
    """The forge, as who asks it sees it; `launch` is a `tests.support.processes.Launch`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._asked: asyncio.Queue[asyncio.Future[Forged]] = asyncio.Queue()
        self._living: dict[int, Forged] = {}

    async def launch(
        self, words: Sequence[str], environment: Mapping[str, str], output: Path, clock_seconds: int
    ) -> Running:
        assert self._process.stdin is not None
        started: asyncio.Future[Forged] = asyncio.get_running_loop().create_future()
        self._asked.put_nowait(started)
        order = [list(words), dict(environment), str(output), clock_seconds]
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return await started

    async def listen(self) -> None:
        """Take what the forge says, in order: a process was started, a process has ended."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            pid, code = json.loads(line)
            if code is None:
                self._living[pid] = Forged(pid)
                self._asked.get_nowait().set_result(self._living[pid])
            else:
                self._living.pop(pid).end(code)


@asynccontextmanager
async def forge() -> AsyncIterator[Forge]:
    """A forge, hot after some seconds. When it is left, everything it has started is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.forge", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    made = Forge(process)
    listening = asyncio.create_task(made.listen())
    try:
        yield made
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await listening


def main() -> None:
    definitions = {
        f"services.{name}": getattr(importlib.import_module(f"services.{name}.definition"), name.upper())
        for name in SERVICES
    }
    for definition in definitions.values():
        definition.routers()
    orders, buffered = sys.stdin.fileno(), b""
    living: set[int] = set()
    while True:
        if select.select([orders], [], [], LOOK_SECONDS)[0]:
            if not (read := os.read(orders, 1 << 20)):
                break
            *lines, buffered = (buffered + read).split(b"\n")
            for line in lines:
                words, environment, output, clock_seconds = json.loads(line)
                if (pid := os.fork()) == 0:
                    _become(definitions[words[0]], words[1:], environment, output, clock_seconds)
                living.add(pid)
                _say(pid, None)
        while living and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            living.discard(ended[0])
            _say(ended[0], os.waitstatus_to_exitcode(ended[1]))
    for pid in living:
        os.kill(pid, signal.SIGKILL)


def _become(
    definition: Any, arguments: list[str], environment: Mapping[str, str], output: str, clock_seconds: int
) -> None:
    """Run the role in this process, which was forked for it, to its end."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    with open(output, "ab") as file, open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    failpoints.arm(environment.get("QUNLI_FAILPOINTS", ""))
    if clock_seconds:
        move_clock(clock_seconds)
    code = 1
    try:
        code = command_line.main(definition, arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _say(pid: int, code: int | None) -> None:
    sys.stdout.write(json.dumps([pid, code]) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
