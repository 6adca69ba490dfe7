"""One trace from the request through the relay to the projection."""

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from shared.observability.settings import ObservabilitySettings
from shared.observability.traces import current_traceparent, parent_of, span_from, tracing
from tests.shared.http.test_edge import GOOD
from tests.shared.http.toy import toy_client

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """Receives every span of the test; all requests are traced."""
    found = InMemorySpanExporter()
    tracing.configure(ObservabilitySettings(trace_ratio=1.0), SimpleSpanProcessor(found))
    yield found
    tracing.shut_down()


def parent(span: ReadableSpan) -> str | None:
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def own(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.span_id:016x}"


async def test_request_relay_and_projection_share_a_trace(exporter: InMemorySpanExporter, tmp_path: Path) -> None:
    carried: list[str | None] = []
    async with toy_client(tmp_path) as client:

        async def act() -> None:
            carried.append(current_traceparent())

        client.service.act = act
        headers = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01", "x-request-id": "r-1"}
        assert (await client.post(GOOD, **headers)).status_code == 201
    with span_from(carried[0], "send toy.events", SpanKind.PRODUCER, {"messaging.destination.name": "toy.events"}):
        carried.append(current_traceparent())
    with span_from(carried[1], "project toy.note-written.v1", SpanKind.CONSUMER):
        pass
    request, relay, projection = exporter.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in (request, relay, projection) if span.context} == {TRACE_ID}
    assert [parent(span) for span in (request, relay, projection)] == [SPAN_ID, own(request), own(relay)]
    assert [span.kind for span in (request, relay, projection)] == [
        SpanKind.SERVER,
        SpanKind.PRODUCER,
        SpanKind.CONSUMER,
    ]
    assert request.name == "POST /v1/notes"
    assert request.attributes is not None and relay.attributes is not None
    assert dict(request.attributes) == {
        "http.request.method": "POST",
        "http.route": "/v1/notes",
        "http.response.status_code": 201,
        "qunli.service": "toy",
        "qunli.request_id": "r-1",
    }
    assert relay.attributes["messaging.destination.name"] == "toy.events"


async def test_a_request_of_nobodys_trace_begins_one(exporter: InMemorySpanExporter, tmp_path: Path) -> None:
    async with toy_client(tmp_path) as client:
        for traceparent in ("", "nonsense", f"ff-{TRACE_ID}-{SPAN_ID}-01", f"00-{'0' * 32}-{SPAN_ID}-01"):
            await client.http.get("/v1/whoami", headers={**client.bearer(), "traceparent": traceparent})
        spans = exporter.get_finished_spans()
        assert [parent(span) for span in spans] == [None] * 4
        told = [parent_of(traceparent) for traceparent in client.service.got]
        assert [f"{context.span_id:016x}" for context in told if context] == [own(span) for span in spans]


async def test_who_calls_decides_against_sampling(exporter: InMemorySpanExporter, tmp_path: Path) -> None:
    async with toy_client(tmp_path) as client:
        headers = {**client.bearer(), "traceparent": f"00-{TRACE_ID}-{SPAN_ID}-00"}
        await client.http.get("/v1/whoami", headers=headers)
        assert client.service.got == [None]
    assert exporter.get_finished_spans() == ()


async def test_a_failed_request_is_a_failed_span(exporter: InMemorySpanExporter, tmp_path: Path) -> None:
    async with toy_client(tmp_path) as client:

        async def act() -> None:
            raise ZeroDivisionError

        client.service.act = act
        await client.post(GOOD)
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None and span.attributes["http.response.status_code"] == 500


async def test_the_ratio_is_kept(tmp_path: Path) -> None:
    found = InMemorySpanExporter()
    tracing.configure(ObservabilitySettings(trace_ratio=0.25), SimpleSpanProcessor(found))
    try:
        assert 150 < sum(tracing.sampled(None) for _ in range(1000)) < 350
        tracing.configure(ObservabilitySettings(trace_ratio=0.0), SimpleSpanProcessor(found))
        assert not any(tracing.sampled(None) for _ in range(1000))
        assert tracing.sampled(f"00-{TRACE_ID}-{SPAN_ID}-01".encode())
    finally:
        tracing.shut_down()


def test_without_an_exporter_nothing_is_made() -> None:
    tracing.configure(ObservabilitySettings(trace_ratio=1.0))
    assert not tracing.sampled(None)
    with span_from(f"00-{TRACE_ID}-{SPAN_ID}-01", "x", SpanKind.CONSUMER) as span:
        assert not span.is_recording()
        assert current_traceparent() is None


@pytest.mark.parametrize("carried", [None, "", "x", f"00-{TRACE_ID}-{SPAN_ID}-00", f"00-{TRACE_ID}-{SPAN_ID}-01-x"])
def test_what_is_not_sampled_makes_no_span(exporter: InMemorySpanExporter, carried: str | None) -> None:
    with span_from(carried, "x", SpanKind.CONSUMER) as span:
        assert not span.is_recording()
    assert exporter.get_finished_spans() == ()


def test_a_later_version_of_the_header_is_read() -> None:
    context = parent_of(f"01-{TRACE_ID}-{SPAN_ID}-01-more")
    assert context is not None and context.trace_flags.sampled


def test_spans_go_to_the_collector_that_is_set() -> None:
    sent: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_port}/"
        tracing.configure(ObservabilitySettings(trace_ratio=1.0, otlp_endpoint=endpoint))
        with tracing.request_span("GET", None):
            pass
        tracing.shut_down()
        thread.join(10)
    ((path, body),) = sent
    assert path == "/v1/traces"
    assert b"qunli" in body and b"http.request.method" in body


def test_a_collector_that_is_away_does_not_hold_up_the_end() -> None:
    tracing.configure(ObservabilitySettings(trace_ratio=1.0, otlp_endpoint="http://127.0.0.1:9/"))
    with tracing.request_span("GET", None):
        pass
    began = time.monotonic()
    tracing.shut_down()
    assert time.monotonic() - began < 4
