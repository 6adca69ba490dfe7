"""Soak itself: what it holds each series to, and that a short one starts, loads, samples and judges the real system."""

import json
from pathlib import Path

import pytest

from tests.soak import report
from tests.soak.report import MB
from tests.soak.stand import DEFINITIONS, ROLES
from tests.soak.verdicts import Point
from tests.support.system import run_tool

SECONDS = 15


def growing(by_minute: float, *, start: float = 0.0) -> list[Point]:
    return [Point(second, 10 * second, start + by_minute * second / 60) for second in range(0, 1801, 10)]


@pytest.mark.parametrize(
    ("series", "by_minute", "bounded"),
    [
        ("size/content.events", 3 * MB, True),
        ("size/content.outbox", 3 * MB, False),
        ("size/scoring.stream_tickets", 3 * MB, False),
        ("rows/membership.idempotency_keys", 1_000, False),
        ("log/facts", 3 * MB, True),
        ("log/watermarks", MB / 10, False),
        ("log/offsets", 3 * MB, True),
        ("memory/content api", 2 * MB, False),
        ("memory/kafka", 2 * MB, True),
        ("descriptors/content api", 1, False),
        ("threads/content relay", 1, False),
        ("connections/scoring consume", 1, False),
        ("lag seconds/scoring", 1, False),
        ("transaction/content", 1, False),
        ("latency p50/all", 100, False),
        ("latency p99/all", 100, True),
    ],
)
def test_what_is_emptied_may_not_grow_and_what_is_kept_may(series: str, by_minute: float, bounded: bool) -> None:
    assert (report.judged({series: growing(by_minute)}) == {}) == bounded


def test_the_table_tells_what_is_not_bounded() -> None:
    series = {
        "memory/content api": growing(2 * MB, start=100 * MB),
        "size/content.events": growing(3 * MB),
        "size/content.posts": growing(1),
    }
    unbounded = report.judged(series)
    lines = report.table(series, unbounded).splitlines()
    assert [line.split(" | ")[0].strip() for line in lines[2:]] == ["memory/content api", "size/content.events"]
    assert [cell.strip() for cell in lines[2].split(" | ")] == [
        "memory/content api", "109.8 MB", "150.0 MB", "160.0 MB", "120.0 MB",
        "rose by 20.17 between the last two thirds, by 6 at most",
    ]  # fmt: skip
    assert lines[3].endswith("| bounded")


def test_what_was_sampled_too_rarely_is_not_held_for_bounded() -> None:
    series = {"memory/content api": growing(0)[:4]}
    unbounded = report.judged(series)
    assert unbounded == {"memory/content api": "4 samples are too few to judge"}
    assert report.table(series, unbounded).endswith("4 samples are too few to judge")


@pytest.mark.postgres
@pytest.mark.timeout(300)
def test_a_short_soak_loads_and_judges_the_real_system(tmp_path: Path) -> None:
    samples = tmp_path / "samples.jsonl"
    code, said = run_tool(
        "tests.soak", "--minutes", str(SECONDS / 60), "--strangers", "40", "--burst-seconds", "2", "--log", "local", "--samples", samples,
        timeout_seconds=280,
    )  # fmt: skip
    assert code == (1 if "NOT BOUNDED" in said or "NOT SERVED" in said else 0), said
    taken = [json.loads(line) for line in samples.read_text().splitlines()]
    last = taken[-1]
    assert last["seconds"] >= SECONDS - 1
    assert last["commands"] > 0
    for definition in DEFINITIONS:
        name = definition.name
        for role in ROLES:
            assert last[f"memory/{name} {role}"] > 20 * MB
            assert last[f"descriptors/{name} {role}"] > 5
            assert f"memory/{name} {role}" in said
        assert last[f"size/{name}.events"] > 0
        assert last[f"lag seconds/{name}"] >= 0
        assert last[f"transaction/{name}"] < 10
    assert last["size/qunli_log.records"] > 0
    assert max(sample["rows/content.idempotency_keys"] for sample in taken) < last["commands"]
    assert f"{last['commands']:,} answered" in said
