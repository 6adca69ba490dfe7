"""One trace from the request through the relay to the projection."""

import asyncio
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deploy.local.run import SERVICES, application, settings_for
from shared.http.issuer import DevelopmentIssuer
from shared.observability.traces import tracing
from tests.support.databases import Databases
from tests.system.callers import FOUNDING

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.timeout(120)
async def test_a_sampled_request_is_followed_into_every_projection(
    databases: Databases, tmp_path: Path, anyio_backend: str
) -> None:
    exporter = InMemorySpanExporter()
    async with databases.fresh() as log_dsn, _service_databases(databases) as dsns:
        settings = {
            name: settings_for(name, port=8400, log="local", dsn=dsn, log_dsn=log_dsn) for name, dsn in dsns.items()
        }
        for definition in SERVICES:
            await definition.migrate(settings[definition.name])
        issuer = DevelopmentIssuer(settings["membership"], tmp_path)
        app = application(settings, issuer)
        tracing.configure(settings["membership"].model_copy(update={"trace_ratio": 0.0}), SimpleSpanProcessor(exporter))
        try:
            transport = httpx.ASGITransport(app)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://test") as http,
            ):
                answer = await http.post(
                    "/membership/v1/communities",
                    json=FOUNDING,
                    headers={
                        "Authorization": f"Bearer {issuer.sign(sub='ana', org='acme')}",
                        "Idempotency-Key": "k",
                        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
                    },
                )
                assert answer.status_code == 201, answer.text
                async with asyncio.timeout(20):
                    while not _projected(exporter):
                        await asyncio.sleep(0.05)
        finally:
            tracing.shut_down()
    spans = {span.context.span_id: span for span in exporter.get_finished_spans() if span.context is not None}
    assert {f"{span.context.trace_id:032x}" for span in spans.values() if span.context} == {TRACE}
    for span in (span for span in spans.values() if span.name.startswith("project membership.")):
        sent = spans[span.parent.span_id] if span.parent else None
        assert sent is not None and sent.name == "send membership.events"
        asked = spans[sent.parent.span_id] if sent.parent else None
        assert asked is not None and asked.name == "POST /v1/communities"


def _projected(exporter: InMemorySpanExporter) -> bool:
    names = [span.name for span in exporter.get_finished_spans()]
    consumers = {
        (span.attributes or {}).get("messaging.consumer.group.name") for span in exporter.get_finished_spans()
    } - {None}
    return "send membership.events" in names and consumers == {"campaigns", "content", "scoring"}


def _service_databases(databases: Databases) -> "_Several":
    return _Several(databases)


class _Several:
    """A fresh database per service."""

    def __init__(self, databases: Databases) -> None:
        self._contexts = {definition.name: databases.fresh() for definition in SERVICES}

    async def __aenter__(self) -> dict[str, str]:
        return {name: await context.__aenter__() for name, context in self._contexts.items()}

    async def __aexit__(self, *error: object) -> None:
        for context in self._contexts.values():
            await context.__aexit__(None, None, None)
