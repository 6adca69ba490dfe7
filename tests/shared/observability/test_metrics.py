"""What Prometheus reads."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from shared.observability import metrics
from tests.shared.http.test_edge import GOOD
from tests.shared.http.toy import Client, toy_client

NAMES = {
    "qunli_http_requests_total",
    "qunli_http_request_seconds",
    "qunli_http_streams",
    "qunli_commands_total",
    "qunli_batch_commands",
    "qunli_outbox_backlog_events",
    "qunli_outbox_oldest_age_seconds",
    "qunli_relay_published_total",
    "qunli_projection_lag_events",
    "qunli_projection_lag_seconds",
    "qunli_parked_keys",
    "qunli_unsettled",
    "qunli_unsettled_oldest_age_seconds",
    "qunli_xmin_age_seconds",
    "qunli_db_pool_in_use",
}


async def samples(client: Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    response = await client.http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
        if sample.labels.get("service") == "toy"
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset({"service": "toy", **labels}.items())


async def test_requests_are_counted_by_route_not_by_path(tmp_path: Path) -> None:
    async with toy_client(tmp_path) as client:
        before = await samples(client)
        for note in ("0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10", "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a11"):
            await client.http.get(f"/v1/notes/{note}", headers=client.bearer())
        await client.post(GOOD)
        await client.post("{")
        for path in ("/a", "/b", "/v1/c"):
            await client.http.get(path)
        await client.http.request("BREW", "/v1/notes")
        after = await samples(client)

    def grown(name: str, **labels: str) -> float:
        found = key(name, **labels)
        return after.get(found, 0) - before.get(found, 0)

    total = "qunli_http_requests_total"
    assert grown(total, route="/v1/notes/{note}", method="GET", status="200") == 2
    assert grown(total, route="/v1/notes", method="POST", status="201") == 1
    assert grown(total, route="unmatched", method="POST", status="400") == 1
    assert grown(total, route="unmatched", method="GET", status="404") == 3
    assert grown(total, route="/v1/notes", method="other", status="405") == 1
    seconds = "qunli_http_request_seconds"
    assert grown(f"{seconds}_count", route="/v1/notes/{note}", method="GET") == 2
    assert 0 < grown(f"{seconds}_sum", route="/v1/notes/{note}", method="GET") < 5


def test_every_promised_metric_exists_with_its_labels() -> None:
    found = {
        metric._name + ("_total" if metric._type == "counter" else ""): metric._labelnames
        for metric in vars(metrics).values()
        if hasattr(metric, "_labelnames")
    }
    assert set(found) == NAMES
    assert all(labels[0] == "service" for labels in found.values())
    forbidden = re.compile("community|person|member|organization|path|key|partition|lane")
    assert not any(forbidden.search(label) for labels in found.values() for label in labels)


def test_a_child_is_made_once() -> None:
    assert metrics.http_requests("toy", "/x", "GET", 200) is metrics.http_requests("toy", "/x", "GET", 200)
    assert metrics.commands("toy", "committed") is metrics.commands("toy", "committed")
