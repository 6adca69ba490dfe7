"""Server-sent events: streams that beat while they are quiet, and end by themselves, saying why, when they must.

The server waits for open answers before it tells an application to stop. So the server of a process asks the `Streams` of
its services to end first (shared/http/server.py).
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Final, NamedTuple

import msgspec
from fastapi import Depends
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.errors import Unavailable
from shared.http.parameters import Documented, documents
from shared.http.problems import refusal_of
from shared.http.request import KEY
from shared.observability import metrics

HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 3000
EVENT_STREAM: Final = (b"content-type", b"text/event-stream; charset=utf-8")

_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
_RETRY_AFTER_SECONDS = 10


class Event(NamedTuple):
    """One event.

    Attributes:
        name: for `addEventListener`.
        id: what the reader has seen once it has this one; sent back as `Last-Event-ID`.
        data: JSON on one line.
    """

    name: str
    id: str
    data: str


Events = AsyncGenerator[Event | None, None]
"""What a stream sends; None: nothing, but it may begin. A refusal that is raised ends the stream, with its reason."""


class Streams:
    """The open event streams of one service.

    Args:
        most: open at a time.
        most_of_one: of one owner.
    """

    def __init__(self, service: str, *, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._open: Counter[str] = Counter()
        self._ending = asyncio.Event()
        metrics.HTTP_STREAMS.labels(service).set_function(lambda: self.open)

    @property
    def open(self) -> int:
        """How many are open."""
        return self._open.total()

    def end(self) -> None:
        """End all of them, and begin no other."""
        self._ending.set()

    @contextmanager
    def place(self, owner: str) -> Iterator[asyncio.Event]:
        """Room for one stream; yields the event that ends it.

        Raises:
            Unavailable: `too-many-streams`, `shutting-down`.
        """
        if self._ending.is_set():
            raise Unavailable("shutting-down", "This process is about to stop. Try again.")
        if self.open >= self._most or self._open[owner] >= self._most_of_one:
            raise Unavailable(
                "too-many-streams",
                f"Too many streams are open; one caller may have {self._most_of_one}. Close one, or try again later.",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )
        self._open[owner] += 1
        try:
            yield self._ending
        finally:
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]


class EventStream(Response):
    """An answer of events, for as long as they come, the reader stays, and its right lasts.

    It begins with the first event: what goes wrong before is answered as a problem. The last event of a stream that the
    server ends is `end`, with the reason.

    Args:
        owner: whose stream it is, to count.
        until: when the reader's right ends, seconds since 1970.
    """

    media_type = "text/event-stream"

    def __init__(self, events: Events, *, streams: Streams, owner: str, until: float) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._events = events
        self._streams = streams
        self._owner = owner
        self._until = until

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.place(self._owner) as ending:
            async with _reading(self._events, receive, ending, self._until) as stream:
                first = await stream.next()
                if stream.reader_gone:
                    return
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                if not scope[KEY].bodiless:
                    await _pour(stream, first, send)
                await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Stream:
    """What comes next of a stream: an event, the reason to end it, or None after a while in which nothing came."""

    def __init__(self, events: Events, receive: Receive, ending: asyncio.Event, until: float) -> None:
        self._events = events
        self._until = until
        self._gone = asyncio.create_task(_until_gone(receive))
        self._ending = asyncio.create_task(ending.wait())
        self._step: asyncio.Task[Event | str | None] | None = None

    @property
    def reader_gone(self) -> bool:
        return self._gone.done()

    async def next(self) -> Event | str | None:
        """Raises what the events raise."""
        if self._step is None:
            self._step = asyncio.create_task(_step(self._events))
        patience = min(HEARTBEAT_SECONDS, max(self._until - time.time(), 0))
        waited_for = {self._step, self._gone, self._ending}
        await asyncio.wait(waited_for, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if self._ending.done():
            return "shutting-down"
        if time.time() >= self._until:
            return "token-expired"
        if not self._step.done():
            return None
        step, self._step = self._step, None
        return step.result()

    async def close(self) -> None:
        tasks = [task for task in (self._step, self._gone, self._ending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._events.aclose()


@asynccontextmanager
async def _reading(events: Events, receive: Receive, ending: asyncio.Event, until: float) -> AsyncIterator[_Stream]:
    stream = _Stream(events, receive, ending, until)
    try:
        yield stream
    finally:
        await stream.close()


async def _pour(stream: _Stream, first: Event | str | None, send: Send) -> None:
    """Send what comes, until there is a reason to end or the reader is gone."""
    now, last_id = first, None
    await _send(send, format_sse_event(retry=RETRY_MILLISECONDS))
    while not stream.reader_gone:
        match now:
            case Event(name, id, data):
                await _send(send, format_sse_event(event=name, id=id, data_str=data))
                last_id = id
            case None:
                await _send(send, KEEPALIVE_COMMENT)
            case reason:
                data = msgspec.json.encode({"reason": reason}).decode()
                await _send(send, format_sse_event(event="end", id=last_id, data_str=data))
                return
        try:
            now = await stream.next()
        except Exception as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            now = refusal.reason


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _step(events: Events) -> Event | str | None:
    return await anext(events, "complete")


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


@documents(Documented())
async def get_streams(request: Request) -> Streams:
    """The streams of the service, for `Annotated[Streams, Depends(get_streams)]`."""
    streams: Streams = request.scope["app"].state.streams
    return streams


OpenStreams = Annotated[Streams, Depends(get_streams)]
