"""Forward outbox rows to the log, in order: one relay of a service works, the others wait for its lock."""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
import msgspec
import structlog
from opentelemetry.trace import SpanKind

from shared.failpoints import armed, failpoint
from shared.messaging import outbox
from shared.messaging.cloudevents import record_headers
from shared.messaging.log import Log, LogUnavailable, Outgoing, Publisher, TopicPartition
from shared.messaging.outbox import Round
from shared.messaging.watermarks import WatermarkPublisher
from shared.observability import metrics
from shared.observability.traces import current_traceparent, parent_of, span_from
from shared.position import START, Position

SEND_SECONDS = 10.0
STATEMENT_SECONDS = 30.0
STANDBY_SECONDS = 1.0
REFUSED_SECONDS = 3.0
FIRST_POLL_SECONDS = 0.004
POLL_SECONDS = 0.25
MEASURE_SECONDS = 5.0
PRUNE_SECONDS = 10.0
PRUNE_ROWS = 2000
BACKOFF_SECONDS = (0.1, 5.0)

_read_headers = msgspec.json.Decoder(dict[str, str]).decode

log = structlog.get_logger()


class Refused(Exception):
    """Database and log do not fit together. The message says why, and what an operator can do."""


class Relay:
    """The relay of one service.

    Args:
        dsn: of the service's database, direct (no connection pooler between: the lock belongs to the session).
        service: its name, for metrics and watermarks.
        round_rows: most rows of one round.
        keep_seconds: how long acknowledged rows stay in the outbox.
        watermark_seconds: how often a watermark is published; None: never.
        watermarks_of: the other services whose watermarks this one's name.
        watermarks_wanted: whether somebody reads them now.
    """

    def __init__(
        self,
        dsn: str,
        log: Log,
        *,
        service: str,
        topic: str,
        partitions: int,
        round_rows: int = 2400,
        keep_seconds: float = 600.0,
        watermark_seconds: float | None = None,
        watermarks_of: Sequence[str] = (),
        watermarks_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._dsn = dsn
        self._log = log
        self._service = service
        self._topic = topic
        self._partitions = partitions
        self._round_rows = round_rows
        self._keep_seconds = keep_seconds
        self._watermarks = (
            WatermarkPublisher(
                log, service, watermarks_of, interval_seconds=watermark_seconds, wanted=watermarks_wanted
            )
            if watermark_seconds is not None
            else None
        )
        self._awake = asyncio.Event()
        self._trouble: str | None = "the relay has not started"
        self._checkpoints: deque[tuple[float, Position]] = deque()
        self._measured_at = self._pruned_at = float("-inf")
        self._xmin = (0, 0.0)

    def wake(self) -> None:
        """Look at once: something was committed."""
        self._awake.set()

    def not_ready(self) -> list[str]:
        """Reasons, as sentences for an operator. A standby is ready."""
        return [] if self._trouble is None else [f"relay: {self._trouble}"]

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop`, whatever happens to database and log."""
        failures = 0
        while not stop.is_set():
            connected_at = time.monotonic()
            try:
                await self._run_connected(stop)
            except Exception as error:
                if time.monotonic() - connected_at > BACKOFF_SECONDS[1]:
                    failures = 0
                self._in_trouble(error)
                await _wait(stop, _backoff(failures))
                failures += 1

    async def _run_connected(self, stop: asyncio.Event) -> None:
        connection = await asyncpg.connect(
            self._dsn,
            timeout=10,
            command_timeout=STATEMENT_SECONDS,
            server_settings={
                "application_name": f"qunli relay {self._service}",
                "jit": "off",
                # A checkpoint lost in a crash costs repeats, nothing else.
                "synchronous_commit": "off",
                "idle_in_transaction_session_timeout": "10s",
                # The lock of a relay whose machine is gone is free within half a minute.
                "tcp_keepalives_idle": "10",
                "tcp_keepalives_interval": "5",
                "tcp_keepalives_count": "4",
            },
        )
        try:
            await self._wait_for_lock(connection, stop)
            await outbox.ensure_checkpoint(connection, self._topic)
            await connection.add_listener("outbox", lambda *_: self._awake.set())
            failures = 0
            while not stop.is_set():
                self._awake.set()
                started_at = time.monotonic()
                try:
                    await self._publish(connection, stop)
                except (LogUnavailable, Refused) as error:
                    if time.monotonic() - started_at > BACKOFF_SECONDS[1] + SEND_SECONDS:
                        failures = 0
                    self._in_trouble(error)
                    await self._keep_house(connection)
                    await _wait(stop, REFUSED_SECONDS if isinstance(error, Refused) else _backoff(failures))
                    failures += 1
        finally:
            with contextlib.suppress(Exception):
                await connection.close(timeout=2)
            connection.terminate()

    async def _wait_for_lock(self, connection: "asyncpg.Connection[Any]", stop: asyncio.Event) -> None:
        while not stop.is_set():
            if await outbox.try_lock(connection, self._topic):
                return
            self._trouble = None
            await _wait(stop, STANDBY_SECONDS)

    async def _publish(self, connection: "asyncpg.Connection[Any]", stop: asyncio.Event) -> None:
        """Round after round with one publisher."""
        await self._log.create_topics([self._topic], partitions=self._partitions)
        if self._watermarks:
            await self._watermarks.prepare()
        await self._verify(connection)
        publisher = await self._log.publisher()
        try:
            self._trouble = None
            poll_seconds = FIRST_POLL_SECONDS
            while not stop.is_set():
                if self._awake.is_set():
                    self._awake.clear()
                    poll_seconds = FIRST_POLL_SECONDS
                if await self._round(connection, publisher):
                    continue
                if self._watermarks:
                    await self._watermarks.step(connection, publisher)
                await self._keep_house(connection)
                # What was committed may still be above the horizon: look again soon, then ever later.
                await self._rest(stop, poll_seconds)
                poll_seconds = min(2 * poll_seconds, POLL_SECONDS)
        finally:
            await publisher.close()

    async def _round(self, connection: "asyncpg.Connection[Any]", publisher: Publisher) -> bool:
        """Forward the next rows; whether there may be more."""
        found = await outbox.read(connection, self._topic, limit=self._round_rows)
        await failpoint("relay.after-read")
        more = len(found.rows) == self._round_rows
        last_positions = dict(found.last_positions)
        if found.rows:
            await self._send(publisher, found, last_positions)
            await failpoint("relay.after-all-acks")
            moved = await outbox.advance(
                connection,
                self._topic,
                revision=found.revision,
                position=found.rows[-1].position,
                last_positions=last_positions,
            )
            metrics.RELAY_PUBLISHED.labels(self._service).inc(len(found.rows))
            await failpoint("relay.after-checkpoint")
            if not moved:
                log.warning("relay.checkpoint-moved-by-another", service=self._service)
                return True
        if self._watermarks:
            self._watermarks.acknowledged(found.through, last_positions)
            if more:
                await self._watermarks.step(connection, publisher)
        return more

    async def _send(self, publisher: Publisher, found: Round, last_positions: dict[int, str]) -> None:
        """Send the rows of a round and wait for all acknowledgements; `last_positions` moves along."""
        batches: dict[TopicPartition, list[Outgoing]] = {}
        with contextlib.ExitStack() as spans:
            for row in found.rows:
                headers = _read_headers(row.headers)
                if trace := headers.get("traceparent"):
                    headers["traceparent"] = self._continue_trace(spans, trace, headers)
                position = f"{row.epoch}-{row.transaction_id}-{row.sequence}"
                previous = last_positions.get(row.partition, _START)
                last_positions[row.partition] = position
                batch = batches.setdefault(TopicPartition(self._topic, row.partition), [])
                batch.append(
                    Outgoing(row.key.encode(), record_headers(headers, position=position, previous=previous), row.value)
                )
            if armed("relay.after-first-ack"):
                first = next(iter(batches))
                await publisher.send({first: batches.pop(first)}, timeout_seconds=SEND_SECONDS)
                await failpoint("relay.after-first-ack")
            sending = asyncio.ensure_future(publisher.send(batches, timeout_seconds=SEND_SECONDS))
            try:
                await asyncio.sleep(0)
                await failpoint("relay.after-send")
                await sending
            finally:
                sending.cancel()

    def _continue_trace(self, spans: contextlib.ExitStack, trace: str, headers: dict[str, str]) -> str:
        parent = parent_of(trace)
        if parent is None or not parent.trace_flags.sampled:
            return trace
        attributes = {"messaging.destination.name": self._topic, "messaging.message.id": headers.get("ce_id", "")}
        spans.enter_context(span_from(trace, f"send {self._topic}", SpanKind.PRODUCER, attributes))
        return current_traceparent() or trace

    async def _verify(self, connection: "asyncpg.Connection[Any]") -> None:
        """Check that the end of the log and this database belong together.

        Raises:
            Refused: they do not.
        """
        _, known = await outbox.checkpoint(connection, self._topic)
        last = {
            partition: Position.parse(dict(record.headers)["ce_position"])
            for partition, record in (await self._log.last_records(self._topic)).items()
        }
        if unknown := await outbox.unknown(connection, list(last.items())):
            partition, position = unknown[0]
            raise Refused(
                f"partition {partition} of {self._topic} ends with {position}, which this database has never written: "
                "it is older than its log (was it restored?), or another one. If it is the right one, raise its epoch."
            )
        for partition, text in known.items():
            if last.get(partition, START) < (acknowledged := Position.parse(text)):
                raise Refused(
                    f"partition {partition} of {self._topic} lacks facts up to {acknowledged}, which it had "
                    "acknowledged: the log has lost them. Publish the topic anew."
                )

    async def _keep_house(self, connection: "asyncpg.Connection[Any]") -> None:
        now = time.monotonic()
        if now - self._measured_at >= MEASURE_SECONDS:
            self._measured_at = now
            await self._measure(connection, now)
        if now - self._pruned_at >= PRUNE_SECONDS:
            self._pruned_at = now
            await self._prune(connection, now)

    async def _measure(self, connection: "asyncpg.Connection[Any]", now: float) -> None:
        found = await outbox.backlog(connection, self._topic)
        metrics.OUTBOX_BACKLOG_EVENTS.labels(self._service).set(found.events)
        metrics.OUTBOX_OLDEST_AGE_SECONDS.labels(self._service).set(found.oldest_seconds or 0.0)
        if found.xmin == found.xmax or found.xmin != self._xmin[0]:
            self._xmin = (found.xmin, now)
        metrics.XMIN_AGE_SECONDS.labels(self._service).set(now - self._xmin[1])

    async def _prune(self, connection: "asyncpg.Connection[Any]", now: float) -> None:
        """Delete what the checkpoint had passed `keep_seconds` ago."""
        position, _ = await outbox.checkpoint(connection, self._topic)
        self._checkpoints.append((now, position))
        through = None
        while self._checkpoints and self._checkpoints[0][0] <= now - self._keep_seconds:
            _, through = self._checkpoints.popleft()
        while through and await outbox.prune(connection, self._topic, through=through, limit=PRUNE_ROWS):
            await failpoint("relay.after-prune")

    async def _rest(self, stop: asyncio.Event, seconds: float) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (stop, self._awake)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _in_trouble(self, error: Exception) -> None:
        self._trouble = str(error) or type(error).__name__
        log.warning("relay.in-trouble", service=self._service, error=repr(error))


_START = str(START)


def _backoff(failures: int) -> float:
    first, longest = BACKOFF_SECONDS
    return min(first * 2.0 ** min(failures, 10), longest) * random.uniform(0.5, 1.5)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
