"""One trace from the request through the relay to the projection, for the share of requests that is sampled."""

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

from shared.observability.settings import ObservabilitySettings

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_EXPORT_SECONDS = 2.0
_NOTHING = NonRecordingSpan(trace.INVALID_SPAN_CONTEXT)


class Tracing:
    """Where spans go, and how many there are.

    Without a processor (no exporter is set) no span is ever made.
    """

    def __init__(self) -> None:
        self.ratio = 0.0
        self._provider: TracerProvider | None = None
        self._tracer: trace.Tracer | None = None

    def configure(self, settings: ObservabilitySettings, *processors: SpanProcessor) -> None:
        """Set the ratio and, if `otlp_endpoint` is set, the exporter; `processors` get the spans as well (tests)."""
        self.shut_down()
        wanted = list(processors)
        if settings.otlp_endpoint is not None:
            # Only where it is used: it brings protobuf and requests, a tenth of the memory of a small process.
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            endpoint = settings.otlp_endpoint.rstrip("/") + "/v1/traces"
            wanted.append(BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=_EXPORT_SECONDS)))
        if not wanted:
            return
        self.ratio = settings.trace_ratio
        self._provider = TracerProvider(resource=Resource.create({"service.name": "qunli"}), shutdown_on_exit=False)
        for processor in wanted:
            self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("qunli")

    def shut_down(self) -> None:
        """Export what is left, and make no more spans."""
        if self._provider is not None:
            self._provider.shutdown()
        self.ratio, self._provider, self._tracer = 0.0, None, None

    def sampled(self, traceparent: bytes | None) -> bool:
        """Whether a request gets a span: as its caller decided, else by the ratio."""
        if self._tracer is None:
            return False
        if traceparent is None:
            return random.random() < self.ratio
        parent = parent_of(traceparent.decode("latin-1"))
        return random.random() < self.ratio if parent is None else parent.trace_flags.sampled

    def request_span(self, method: str, traceparent: bytes | None) -> AbstractContextManager[Span]:
        """The span of a sampled request."""
        parent = None if traceparent is None else parent_of(traceparent.decode("latin-1"))
        return self.span(method, SpanKind.SERVER, parent, {"http.request.method": method})

    @contextmanager
    def span(
        self, name: str, kind: SpanKind, parent: SpanContext | None, attributes: Mapping[str, Any] | None = None
    ) -> Iterator[Span]:
        """A span that is current inside the block; exceptions mark it as failed."""
        if self._tracer is None:
            yield _NOTHING
            return
        context = trace.set_span_in_context(NonRecordingSpan(parent)) if parent is not None else None
        with self._tracer.start_as_current_span(name, context, kind, dict(attributes or {})) as span:
            yield span


tracing = Tracing()
"""The process's tracing; makes nothing until it is configured."""


def current_traceparent() -> str | None:
    """The W3C trace context of the span we are in, to be carried in an outbox row; None if this is not traced."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid or not context.trace_flags.sampled:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def parent_of(traceparent: str | None) -> SpanContext | None:
    """Read a W3C trace context; None if there is none, or it is malformed."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent is not None else None
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5]):
        return None
    context = SpanContext(int(match[2], 16), int(match[3], 16), True, TraceFlags(int(match[4], 16)))
    return context if context.is_valid else None


@contextmanager
def span_from(
    traceparent: str | None, name: str, kind: SpanKind, attributes: Mapping[str, Any] | None = None
) -> Iterator[Span]:
    """A span that continues a trace carried by a record (relay: PRODUCER, projection: CONSUMER).

    Costs nearly nothing, and records nothing, if the trace is not sampled.
    """
    parent = parent_of(traceparent)
    if parent is None or not parent.trace_flags.sampled:
        yield _NOTHING
        return
    with tracing.span(name, kind, parent, attributes) as span:
        yield span
