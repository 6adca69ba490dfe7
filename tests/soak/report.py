"""Which rule each series is held to, and the table that tells what came of it."""

from collections.abc import Mapping, Sequence

from tests.soak.stand import KAFKA_HEAP_MB
from tests.soak.verdicts import Point, Rule, TooFew, below, both, by_command, figures, steady, told
from tests.soak.watching import SHORT_LIVED

MB = 1_000_000
LEAST_MB = 0.1

MOST_FAILURES = 0.001
"""Of all requests."""

_RULES: Mapping[str, tuple[str, Rule]] = {
    "memory": ("MB", steady(allowed=6, share=0.04)),
    "memory/kafka": ("MB", below(KAFKA_HEAP_MB + 512)),
    "descriptors": ("", steady(allowed=4)),
    "threads": ("", steady(allowed=2)),
    "connections": ("", steady(allowed=4)),
    "processes": ("", steady(allowed=4)),
    "sessions": ("", steady(allowed=4)),
    "transaction": ("s", below(10)),
    "lag seconds": ("s", both(below(60), steady(allowed=2, share=0.5))),
    "lag events": ("", steady(allowed=1_000, share=0.5)),
    "backlog": ("", steady(allowed=1_000, share=0.5)),
    "rows": ("", steady(allowed=500, share=0.25)),
    "dead rows": ("", steady(allowed=20_000, share=0.5)),
    "size": ("MB", by_command(slack=1)),
    **{f"size/{table}": ("MB", steady(allowed=2, share=0.25)) for table in SHORT_LIVED},
    "size/idempotency_keys": ("MB", by_command(slack=2)),  # those of money stay
    "log": ("MB", by_command(slack=4)),
    "log/watermarks": ("MB", steady(allowed=0.3, share=0.25)),
    "log/offsets": ("MB", told),
    "latency p50": ("ms", steady(allowed=50, share=0.5)),
    "latency p99": ("ms", told),
}
"""Units are those of values and of the numbers of the rules: what is sampled in bytes is judged in MB."""

_HEAD = ("measure", "first third", "last third", "peak", "per hour", "verdict")


def rule_of(series: str) -> tuple[str, Rule]:
    """Unit and rule of a series: its own, that of its table in every database, or that of its kind."""
    kind, _, name = series.partition("/")
    table = name.rpartition(".")[2]
    return next(_RULES[key] for key in (series, f"{kind}/{table}", kind) if key in _RULES)


def judged(series: Mapping[str, Sequence[Point]]) -> dict[str, str]:
    """Why series are not bounded; empty if all are."""
    verdicts = {}
    for name, points in series.items():
        unit, rule = rule_of(name)
        try:
            verdicts[name] = rule(_in(unit, points))
        except TooFew as why:
            verdicts[name] = str(why)
    return {name: why for name, why in verdicts.items() if why is not None}


def table(series: Mapping[str, Sequence[Point]], unbounded: Mapping[str, str]) -> str:
    """A line for each series; tables that never held LEAST_MB are left out if they are bounded."""
    rows: list[tuple[str, ...]] = [_HEAD]
    for name, points in sorted(series.items()):
        unit, rule = rule_of(name)
        verdict = unbounded.get(name) or ("-" if rule is told else "bounded")
        try:
            found = figures(_in(unit, points))
        except TooFew:
            rows.append((name, "", "", "", "", verdict))
            continue
        if name in unbounded or not name.startswith("size/") or found.peak >= LEAST_MB:
            rows.append((name, *(_number(value, unit) for value in found), verdict))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])


def _in(unit: str, points: Sequence[Point]) -> Sequence[Point]:
    return [point._replace(value=point.value / MB) for point in points] if unit == "MB" else points


def _number(value: float, unit: str) -> str:
    digits = 0 if unit != "MB" and (abs(value) >= 100 or value == int(value)) else 1
    return f"{value:,.{digits}f} {unit}".rstrip()
