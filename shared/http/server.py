"""The server of a process: uvicorn's, but streams are asked to end before it waits for them, and nobody may take an answer
without reading it."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

UNREAD_SECONDS = 30.0
"""How long a client may leave what was sent to it, without taking any of it."""

_EVERY_TICKS = 10
_DRAINED = 0.7


class Server(uvicorn.Server):
    """Serves one application, `shared.http.mounting.mounted`.

    uvicorn waits for open answers before it tells the application to stop, and a client that does not read holds its
    answer open for ever. Such connections are cut off: after a while, and in any case before the end of the time in which
    open requests may finish.

    A signal only ends it. uvicorn raises the signal again, before what is around the server could end in its turn: traces
    that wait to be sent, a database of this process.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._unread: dict[Any, tuple[int, float]] = {}

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def on_tick(self, counter: int) -> bool:
        if counter % _EVERY_TICKS == 0:
            self._cut_off_stalled()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: Any = None) -> None:
        for app in getattr(self.config.app, "apps", {}).values():
            app.state.streams.end()
        drain_seconds = self.config.timeout_graceful_shutdown or 0
        cutting = asyncio.get_running_loop().call_later(drain_seconds * _DRAINED, self._cut_off_all_unread)
        try:
            await super().shutdown(sockets)
        finally:
            cutting.cancel()

    def _cut_off_stalled(self) -> None:
        before, self._unread = self._unread, {}
        now = time.monotonic()
        for connection in list(self.server_state.connections):
            size = _unread_bytes(connection)
            if not size:
                continue
            size_then, since = before.get(connection, (size, now))
            since = now if size < size_then else since
            self._unread[connection] = size, since
            if now - since >= UNREAD_SECONDS:
                connection.transport.abort()

    def _cut_off_all_unread(self) -> None:
        for connection in list(self.server_state.connections):
            if _unread_bytes(connection):
                connection.transport.abort()


def _unread_bytes(connection: Any) -> int:
    """What the kernel has not taken yet, since the client does not read."""
    transport = connection.transport
    return 0 if transport is None else int(transport.get_write_buffer_size())
