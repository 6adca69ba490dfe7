"""Event streams over a real socket: what a reader gets, and how a stream ends."""

import asyncio
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import Response
from prometheus_client import REGISTRY
from starlette.requests import Request

from shared.errors import Conflict, Forbidden
from shared.http import server, sse
from shared.http.app import create_app, get_service
from shared.http.issuer import DevelopmentIssuer
from shared.http.mounting import mounted
from shared.http.routes import service_router
from shared.http.settings import HttpSettings
from shared.http.sse import Event, Events, EventStream, OpenStreams, Streams
from tests.support.streaming import Address, listening, reading

Make = Callable[[], Events]


@dataclass
class Source:
    """What the one route streams; a test says what."""

    events: Make
    until: float = float("inf")
    closed: int = 0


@dataclass
class Served:
    address: Address
    source: Source
    streams: Streams
    url: str


router = service_router()


@router.get("/v1/stream", operation_id="watch", response_class=EventStream)
async def watch(request: Request, streams: OpenStreams) -> Response:
    source = await get_service(request)
    return EventStream(source.events(), streams=streams, owner="ana", until=source.until)


async def counting(source: Source, pause: float = 0.02) -> Events:
    try:
        for number in range(1_000_000):
            yield Event("count", str(number), json.dumps({"number": number}))
            await asyncio.sleep(pause)
    finally:
        source.closed += 1


async def quiet(source: Source) -> Events:
    try:
        yield None
        await asyncio.sleep(3600)
    finally:
        source.closed += 1


@asynccontextmanager
async def serving(
    folder: Path, *, most: int = 3, drain_seconds: int = 3, buffer: int | None = None
) -> AsyncIterator[Served]:
    settings = HttpSettings(mode="local", most_streams=most, most_streams_of_one=most, request_timeout_seconds=1)
    source = Source(lambda: counting(source))

    @asynccontextmanager
    async def open_source() -> AsyncIterator[Source]:
        yield source

    app = create_app(
        name="toy",
        title="Toy",
        description="",
        settings=settings,
        open_service=open_source,
        routers=[router],
        keys=DevelopmentIssuer(settings, folder).keys(),
    )
    async with listening(mounted({"toy": app}), drain_seconds=drain_seconds, send_buffer_bytes=buffer) as address:
        yield Served(address, source, app.state.streams, f"{address.url}/toy/v1/stream")


@pytest.fixture
async def served(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Served]:
    async with serving(tmp_path) as one:
        yield one


@pytest.fixture
def complaints(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was logged as a warning or worse."""
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def until(holds: Callable[[], bool], seconds: float = 8.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


async def test_events_come_one_by_one_with_names_and_ids(served: Served) -> None:
    async with reading(served.url) as stream:
        headers = stream.answer.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")
        assert headers["x-request-id"]
        assert "content-length" not in headers
        for number in range(3):
            event = await stream.next()
            assert (event.name, event.id, event.data) == ("count", str(number), {"number": number})
        assert stream.retry == sse.RETRY_MILLISECONDS


async def test_a_quiet_stream_begins_at_once_and_beats(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.05)
    served.source.events = lambda: quiet(served.source)
    async with reading(served.url) as stream:
        assert stream.answer.status_code == 200
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await stream.next()
        assert stream.comments >= 3


async def test_a_stream_outlives_the_deadline_of_requests(served: Served) -> None:
    served.source.events = lambda: counting(served.source, 0.5)
    async with reading(served.url) as stream:
        assert [(await stream.next()).id for _ in range(5)] == ["0", "1", "2", "3", "4"]


async def test_a_reader_who_leaves_frees_its_place(served: Served) -> None:
    for make in (lambda: counting(served.source), lambda: quiet(served.source)):
        served.source.events = make
        served.source.closed = 0
        async with reading(served.url):
            await until(lambda: served.streams.open == 1)
        await until(lambda: served.streams.open == 0 and served.source.closed == 1)


async def test_more_streams_than_there_is_room_for_are_refused(served: Served) -> None:
    async with reading(served.url), reading(served.url), reading(served.url), reading(served.url) as fourth:
        assert fourth.answer.status_code == 503
        assert fourth.answer.json()["type"] == "/problems/too-many-streams"
        assert fourth.answer.headers["retry-after"] == "10"
    await until(lambda: served.streams.open == 0)
    async with reading(served.url) as again:
        assert (await again.next()).id == "0"


def test_one_owner_leaves_room_for_others(anyio_backend: str) -> None:
    streams = Streams("toy", most=10, most_of_one=1)
    with streams.place("ana"):
        with pytest.raises(Exception, match="too-many-streams"), streams.place("ana"):
            pass
        with streams.place("bo"):
            assert streams.open == 2
    assert streams.open == 0


async def test_what_goes_wrong_before_the_first_event_is_a_problem(served: Served) -> None:
    async def refused() -> Events:
        raise Conflict("not-today", "Not today.")
        yield

    served.source.events = refused
    async with reading(served.url) as stream:
        assert stream.answer.status_code == 409
        assert stream.answer.json()["type"] == "/problems/not-today"
    assert served.streams.open == 0


async def test_a_stream_that_does_not_begin_in_time_is_a_problem(served: Served) -> None:
    async def slow() -> Events:
        await asyncio.sleep(3600)
        yield None

    served.source.events = slow
    async with reading(served.url) as stream:
        assert (stream.answer.status_code, stream.answer.json()["type"]) == (503, "/problems/deadline-exceeded")
    assert served.streams.open == 0


async def test_a_later_refusal_ends_the_stream_with_its_reason(served: Served) -> None:
    async def revoked() -> Events:
        yield Event("count", "7", "{}")
        raise Forbidden("not-a-member", "No longer.")

    served.source.events = revoked
    async with reading(served.url) as stream:
        assert (await stream.next()).id == "7"
        end = await stream.next()
        assert (end.name, end.id, end.data) == ("end", "7", {"reason": "not-a-member"})
        with pytest.raises(EOFError):
            await stream.next()


async def test_a_bug_breaks_the_stream_off_and_is_logged(served: Served, complaints: Callable[[], list[str]]) -> None:
    async def broken() -> Events:
        yield Event("count", "7", "{}")
        raise ZeroDivisionError

    served.source.events = broken
    async with reading(served.url) as stream:
        await stream.next()
        with pytest.raises(httpx.RemoteProtocolError):
            await stream.next()
    assert any("Exception in ASGI application" in said for said in complaints())
    assert served.streams.open == 0


async def test_a_stream_ends_with_the_right_of_its_reader(served: Served) -> None:
    served.source.until = time.time() + 0.5
    served.source.events = lambda: quiet(served.source)
    async with reading(served.url) as stream:
        end = await stream.next()
        assert (end.name, end.data) == ("end", {"reason": "token-expired"})
        assert time.time() >= served.source.until


async def test_head_answers_at_once(served: Served) -> None:
    async with httpx.AsyncClient(timeout=3) as client:
        answer = await client.head(served.url)
    assert (answer.status_code, answer.content) == (200, b"")
    await until(lambda: served.streams.open == 0)


@pytest.mark.parametrize("accept", ["text/event-stream", "text/*", "*/*", "application/json"])
async def test_what_readers_accept(served: Served, accept: str) -> None:
    async with reading(served.url, {"accept": accept}) as stream:
        assert stream.answer.status_code == 200


async def test_other_kinds_are_not_acceptable(served: Served) -> None:
    async with reading(served.url, {"accept": "image/png"}) as stream:
        assert stream.answer.status_code == 406


async def test_a_stream_counts_once_by_the_time_it_took_to_begin(served: Served) -> None:
    labels = {"service": "toy", "route": "/v1/stream", "method": "GET"}

    def sample(name: str, **more: str) -> float:
        return REGISTRY.get_sample_value(name, {**labels, **more}) or 0

    def open_now() -> float:
        return REGISTRY.get_sample_value("qunli_http_streams", {"service": "toy"}) or 0

    count, seconds = sample("qunli_http_requests_total", status="200"), sample("qunli_http_request_seconds_sum")
    async with reading(served.url) as stream:
        await stream.next()
        assert open_now() == 1
        await asyncio.sleep(1)
    await until(lambda: open_now() == 0)
    assert sample("qunli_http_requests_total", status="200") == count + 1
    assert sample("qunli_http_request_seconds_sum") - seconds < 0.9


async def test_streams_end_when_the_server_stops(served: Served, complaints: Callable[[], list[str]]) -> None:
    async with reading(served.url) as busy:
        served.source.events = lambda: quiet(served.source)
        async with reading(served.url) as idle:
            await busy.next()
            started_at = time.monotonic()
            await served.address.stop()
            assert time.monotonic() - started_at < 1
            end = await idle.next()
            assert (end.name, end.data) == ("end", {"reason": "shutting-down"})
            while (event := await busy.next()).name != "end":
                continue
            assert event.data == {"reason": "shutting-down"}
    assert served.source.closed == 2
    assert complaints() == []


def test_no_stream_begins_while_the_process_stops(anyio_backend: str) -> None:
    streams = Streams("toy", most=1, most_of_one=1)
    streams.end()
    with pytest.raises(Exception, match="shutting-down"), streams.place("ana"):
        pass


def deaf(address: Address) -> socket.socket:
    """A reader who asks for a stream and never reads it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.connect(("127.0.0.1", address.port))
    client.sendall(b"GET /toy/v1/stream HTTP/1.1\r\nhost: toy\r\n\r\n")
    return client


async def flooding(source: Source) -> Events:
    try:
        for number in range(1_000_000):
            yield Event("flood", str(number), json.dumps("x" * 16_384))
    finally:
        source.closed += 1


async def test_a_reader_who_does_not_read_holds_up_no_stop(tmp_path: Path, complaints: Callable[[], list[str]]) -> None:
    async with serving(tmp_path, buffer=4096) as served:
        served.source.events = lambda: flooding(served.source)
        with deaf(served.address):
            await until(lambda: bool(_waiting(served.address)))
            started_at = time.monotonic()
            await served.address.stop()
            assert time.monotonic() - started_at < 3
    assert served.source.closed == 1
    assert complaints() == []


async def test_a_reader_who_does_not_read_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "UNREAD_SECONDS", 1.0)
    async with serving(tmp_path, buffer=4096) as served:
        served.source.events = lambda: flooding(served.source)
        with deaf(served.address):
            await until(lambda: bool(_waiting(served.address)))
            assert max(_waiting(served.address)) < 200_000, "what waits for a reader is bounded"
            await until(lambda: served.streams.open == 0 and served.source.closed == 1)


def _waiting(address: Address) -> list[int]:
    """Bytes that wait for readers, where any do."""
    sizes = [connection.transport.get_write_buffer_size() for connection in address.server.server_state.connections]
    return [size for size in sizes if size]
