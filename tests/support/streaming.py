"""A server of our own on a loopback port, and readers of its event streams."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from shared.http.server import Server

PATIENCE_SECONDS = 10


@dataclass
class Address:
    """A running server."""

    server: Server
    url: str
    _task: "asyncio.Task[None]"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def stop(self) -> None:
        """As after SIGTERM."""
        self.server.should_exit = True
        await self._task


@asynccontextmanager
async def listening(
    app: ASGIApp, *, drain_seconds: int = 3, send_buffer_bytes: int | None = None
) -> AsyncIterator[Address]:
    """Serve `app`, as `shared.http.mounting.mounted` makes it, with its lifespan.

    Args:
        send_buffer_bytes: of the kernel, for each connection; by default what the kernel chooses.
    """
    with socket.socket() as listener:
        if send_buffer_bytes is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=drain_seconds
        )
        server = Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        address = Address(server, f"http://127.0.0.1:{listener.getsockname()[1]}", task)
        try:
            yield address
        finally:
            await address.stop()


@dataclass
class Seen:
    """One event as a reader sees it."""

    name: str
    id: str | None
    data: Any


@dataclass
class Reading:
    """A stream as it comes in."""

    answer: httpx.Response
    comments: int = 0
    retry: int | None = None
    seen: list[Seen] = field(default_factory=list)
    _coming: "asyncio.Queue[Seen | Exception]" = field(default_factory=asyncio.Queue)

    async def next(self) -> Seen:
        """The next event.

        Raises:
            EOFError: the stream has ended.
            httpx.RemoteProtocolError: it was broken off.
            TimeoutError: none comes.
        """
        async with asyncio.timeout(PATIENCE_SECONDS):
            found = await self._coming.get()
        if isinstance(found, Exception):
            self._coming.put_nowait(found)
            raise found
        self.seen.append(found)
        return found

    async def read(self) -> None:
        """Read it to its end, as EventSource would."""
        try:
            one: dict[str, str] = {}
            async for line in self.answer.aiter_lines():
                name, _, value = line.partition(": ")
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    one[name] = value
                elif one.keys() == {"retry"}:
                    self.retry = int(one.pop("retry"))
                elif one:
                    self._coming.put_nowait(Seen(one["event"], one.get("id"), json.loads(one["data"])))
                    one = {}
            self._coming.put_nowait(EOFError())
        except httpx.RemoteProtocolError as error:
            self._coming.put_nowait(error)


@asynccontextmanager
async def reading(url: str, headers: dict[str, str] | None = None) -> AsyncIterator[Reading]:
    """Open a stream, or get the answer in its place."""
    async with (
        httpx.AsyncClient(timeout=httpx.Timeout(PATIENCE_SECONDS, read=None)) as client,
        client.stream("GET", url, headers={"accept": "text/event-stream", **(headers or {})}) as answer,
    ):
        opened = Reading(answer)
        if answer.status_code != 200:
            await answer.aread()
            yield opened
            return
        task = asyncio.create_task(opened.read())
        try:
            yield opened
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
