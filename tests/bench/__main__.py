"""`python -m tests.bench [--only ROW …] [--scale 0.05] [--repeats 3]`."""

import argparse
import asyncio
import sys
import traceback
from importlib import import_module

import uvloop

from tests.bench.rows import Options, Row, say

ROWS = (
    "projection",
    "mixed",
    "commands",
    "hot_stream",
    "hot_comments",
    "freshness",
    "leaderboard",
    "memory",
    "rebuild",
    "rebuild_memory",
)


def main() -> int:
    """Measure, print the table; 0 if every row was measured and is within reach."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=ROWS, metavar="ROW")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes, to see that all of it runs")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    options = Options(arguments.scale, arguments.repeats)
    lines, good, notes = [], 0, []
    for name in arguments.only:
        say(f"--- {name}")
        try:
            row: Row = import_module(f"tests.bench.{name}").ROW
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                outcome = runner.run(row.measure(options))
        except Exception:
            traceback.print_exc()
            lines.append((name, "", "", "-", "NOT MEASURED"))
            continue
        lines.append((name, row.what, row.reach, outcome.got, "reached" if outcome.reached else "MISSED"))
        notes += [f"{name}: {note}" for note in outcome.notes]
        good += outcome.reached
    print(_table([("row", "what", "reach", "got", "verdict"), *lines]))
    print("\n".join(notes))
    if options.scale != 1:
        print(f"Sizes were scaled by {options.scale}: the figures mean nothing.")
    return 0 if good == len(arguments.only) else 1


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])


if __name__ == "__main__":
    sys.exit(main())
