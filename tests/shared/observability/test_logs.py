"""What is written, one JSON line per event, and what is not."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry.trace import SpanKind

from shared.observability import logs
from shared.observability.settings import ObservabilitySettings
from shared.observability.traces import parent_of, tracing
from tests.shared.http.test_edge import GOOD
from tests.shared.http.toy import toy_client

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure(ObservabilitySettings(log_level="info"), stream)
    yield stream
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_an_event_is_one_json_line(written: io.StringIO) -> None:
    structlog.get_logger("shared.relay").info("relay.forwarded", events=3, text='a\n"b" é')
    (line,) = lines(written)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "relay.forwarded",
        "events": 3,
        "text": 'a\n"b" é',
        "level": "info",
        "logger": "shared.relay",
    }


def test_the_level_is_a_setting(written: io.StringIO) -> None:
    structlog.get_logger("shared.relay").debug("relay.looked")
    logging.getLogger("aiokafka").debug("looked")
    assert lines(written) == []


def test_libraries_come_through_the_same_door(written: io.StringIO) -> None:
    for name in ("uvicorn.error", "aiokafka.consumer", "asyncpg.pool", "asyncio"):
        logging.getLogger(name).warning("%s is %d", name, 7)
    assert [(line["logger"], line["event"], line["level"]) for line in lines(written)] == [
        (name, f"{name} is 7", "warning") for name in ("uvicorn.error", "aiokafka.consumer", "asyncpg.pool", "asyncio")
    ]


def test_request_and_trace_are_named(written: io.StringIO) -> None:
    tracing.configure(ObservabilitySettings(), *_one_processor())
    token = logs.request_id.set("r-1")
    try:
        with tracing.span("x", SpanKind.SERVER, parent_of(TRACE)):
            structlog.get_logger("shared.x").info("x.done")
            logging.getLogger("asyncpg").warning("foreign")
    finally:
        logs.request_id.reset(token)
        tracing.shut_down()
    structlog.get_logger("shared.x").info("x.idle")
    ours, foreign, idle = lines(written)
    assert ours["request_id"] == foreign["request_id"] == "r-1"
    assert ours["trace_id"] == foreign["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert "request_id" not in idle and "trace_id" not in idle


def test_tracebacks_are_in_the_line_without_values(written: io.StringIO) -> None:
    password = "hunter2"
    try:
        raise ZeroDivisionError("broken")
    except ZeroDivisionError:
        structlog.get_logger("shared.x").exception("x.failed")
    (line,) = lines(written)
    assert "ZeroDivisionError: broken" in line["exception"] and "Traceback" in line["exception"]
    assert password not in written.getvalue()


def test_repeated_trouble_of_a_library_is_told_once_in_a_while() -> None:
    now = [0.0]
    repetitions = logs.Repetitions(lambda: now[0])

    def passes(name: str, level: int = logging.WARNING, line: int = 1) -> logging.LogRecord | None:
        record = logging.LogRecord(name, level, "file", line, "away", (), (OSError, OSError("away"), None))
        return record if repetitions.filter(record) else None

    assert passes("asyncpg.pool") is not None
    assert [passes("asyncpg.pool") for _ in range(7)] == [None] * 7
    assert passes("asyncpg.pool", line=2) is not None
    assert passes("aiokafka.client") is not None
    assert all(passes("asyncpg.pool", logging.INFO) for _ in range(3))
    assert all(passes("shared.http.edge") for _ in range(3))
    now[0] = 11
    told = passes("asyncpg.pool")
    assert told is not None and told.__dict__["held_back"] == 7


async def test_failed_requests_are_told_without_what_was_sent(written: io.StringIO, tmp_path: Path) -> None:
    async with toy_client(tmp_path) as client:

        async def broken() -> None:
            raise ZeroDivisionError("broken")

        async def away() -> None:
            raise ConnectionRefusedError("refused")

        client.service.act = broken
        token = client.bearer()["authorization"]
        body = GOOD.replace("hello", "sekret")
        await client.post(body, authorization=token, x_request_id="r-9")
        client.service.act = away
        for _ in range(5):
            await client.post(body, authorization=token)
    unhandled, unavailable = lines(written)
    assert (unhandled["event"], unhandled["level"]) == ("http.unhandled", "error")
    assert (unhandled["request_id"], unhandled["route"], unhandled["method"]) == ("r-9", "/v1/notes", "POST")
    assert "ZeroDivisionError" in unhandled["exception"]
    assert (unavailable["event"], unavailable["reason"]) == ("http.unavailable", "database-unavailable")
    assert "sekret" not in written.getvalue() and token.removeprefix("Bearer ") not in written.getvalue()


def _one_processor() -> list[Any]:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    return [SimpleSpanProcessor(InMemorySpanExporter())]
