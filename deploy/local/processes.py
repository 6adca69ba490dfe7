"""Start servers that never outlive us, and find the ones that earlier runs left behind."""

import ctypes
import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from deploy.local.launcher import PR_SET_PDEATHSIG

LAUNCHER = Path(__file__).with_name("launcher.py")
LOG_LIMIT_BYTES = 10_000_000


class User(NamedTuple):
    user_id: int
    group_id: int


class ServerFailed(Exception):
    """A local server could not be started or stopped; the message says what to look at."""


class FolderLock:
    """Held by the one living process that runs a server on a folder. The kernel releases it when that process dies."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._file: IO[str] | None = None

    def acquire(self, timeout_seconds: float = 5.0) -> None:
        """Take the lock; wait a little, for a process that is just ending.

        Raises:
            ServerFailed: another process holds it.
        """
        if self._file is not None:
            return
        file = open(self._path, "a+")  # noqa: SIM115 - stays open as long as the lock is held
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    file.seek(0)
                    owner = file.read().strip() or "unknown"
                    file.close()
                    raise ServerFailed(
                        f"{self._path.parent} is in use by process {owner}. Stop that one first, or use another folder."
                    ) from None
                time.sleep(0.05)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def spawn(
    program: Sequence[str | os.PathLike[str]],
    *,
    log: Path | IO[bytes],
    death_signal: signal.Signals,
    user: User | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path = Path("/"),
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; the kernel sends it `death_signal` when this process dies.

    Args:
        program: absolute path and arguments.
        log: file that standard output and error are appended to; an older log of more than 10 MB is dropped.
        user: run as this user and group (only root can).
        environment: the whole environment of the program; ours, if None.
        folder: where it is started.

    Raises:
        RuntimeError: not called in the main thread: the kernel's "parent" is the thread that forks.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("start servers in the main thread: they would be stopped when this thread ends")
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(int(death_signal))]
    argv = [*launcher, f"{user.user_id}:{user.group_id}" if user else "-", *(os.fspath(word) for word in program)]
    if isinstance(log, Path):
        fresh = not log.exists() or log.stat().st_size > LOG_LIMIT_BYTES
        with open(log, "wb" if fresh else "ab") as file:
            return spawn(
                program,
                log=file,
                death_signal=death_signal,
                user=user,
                environment=environment,
                folder=folder,
            )
    return subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder
    )


def heed_interrupts() -> None:
    """Let SIGINT interrupt this process, also if it was started with that ignored, as shells do in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def end_with_make() -> None:
    """If `make` started this process, get a SIGTERM when that ends: killed, it could not pass anything on."""
    if "MAKELEVEL" in os.environ and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def wait_until(condition: Callable[[], bool], timeout_seconds: float, *, every_seconds: float = 0.01) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_seconds)
    return True


def stop(process: subprocess.Popen[bytes], *signals: tuple[signal.Signals, float]) -> None:
    """Send one signal after the other, each with the seconds to wait for it, until the process has ended.

    Raises:
        ServerFailed: it outlived them all.
    """
    for number, seconds in signals:
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
        return
    raise ServerFailed(f"process {process.pid} does not end")


def living(program: str, marker: str) -> list[int]:
    """The living processes of that program whose command line holds `marker`: how a server without parent is found.

    Empty where there is no /proc.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().strip() == program and marker.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # ended meanwhile
    return found


def signal_all(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def free_port() -> int:
    """A port of the loopback interface on which nobody listens at this moment.

    Below the range that the kernel gives to outgoing connections, one of which might take it while a server restarts.
    """
    for port in random.sample(range(20_000, 32_000), 1000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerFailed("no free port on 127.0.0.1")


def listens(port: int) -> bool:
    """Whether somebody takes connections on that port of the loopback interface."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
