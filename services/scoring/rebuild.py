"""The operator's command `rebuild`: what it takes, shows and reports."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TextIO

from services.scoring.comparison import Outcome
from services.scoring.rebuilding import Rebuild, connections
from services.scoring.shadow import open_shadow
from shared.lifecycle import spare_collector
from shared.service import OperatorCommand, close_pool
from shared.settings import Settings

BAR_CELLS = 30
REDRAW_SECONDS = 0.2
"""On a terminal, where the bar stays in its line."""

REPEAT_SECONDS = 5.0
"""Elsewhere, as in a log, where each state is a line."""


class Screen:
    """Shows the operator a bar for what is long, and lines for what is said."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._task = ""
        self._unit = ""
        self._before = self._done = self._total = 0
        self._began_at = self._shown_at = 0.0

    def say(self, text: str) -> None:
        self._stream.write(f"\r\x1b[K{text}\n" if self._terminal else f"{text}\n")
        self._stream.flush()

    def begin(self, task: str, unit: str, done: int, total: int) -> None:
        self._task, self._unit, self._before, self._done, self._total = task, unit, done, done, total
        self._began_at = self._shown_at = time.monotonic()

    def advance(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._shown_at > (REDRAW_SECONDS if self._terminal else REPEAT_SECONDS):
            self._shown_at = now
            self._show()

    def end(self) -> None:
        if self._done > self._before:
            self._show(last=True)

    def _show(self, *, last: bool = False) -> None:
        total = max(self._total, self._done)
        seconds = max(time.monotonic() - self._began_at, 1e-3)
        rate = (self._done - self._before) / seconds
        full = BAR_CELLS * self._done // max(total, 1)
        left = "" if last else f", {_duration((total - self._done) / max(rate, 1e-3))} left"
        pace = f"{rate:,.0f} a second" if rate >= 10 else f"{seconds:.1f} s"
        text = (
            f"{self._task} {100 * self._done // max(total, 1):3}% |{'#' * full:<{BAR_CELLS}}| "
            f"{self._done:,} of {total:,} {self._unit}, {pace}{left}"
        )
        if self._terminal:
            self._stream.write(f"\r\x1b[K{text}" + ("\n" if last else ""))
            self._stream.flush()
        else:
            self.say(text)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def report(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What the operator reads of a comparison, line by line."""
    for outcome in outcomes:
        yield f"{outcome.table}: {outcome.rows:,} rows, {outcome.different:,} different"
        for difference in outcome.first:
            yield f"    live    {difference.live or 'missing'}"
            yield f"    rebuilt {difference.rebuilt or 'missing'}"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--swap", action="store_true", help="put the result in the place of the live tables")
    parser.add_argument("--fresh", action="store_true", help="begin anew, as after a release that folds differently")
    parser.add_argument(
        "--workers", type=int, default=3, choices=range(1, 17), metavar="N", help="lanes at a time; 1 to 16"
    )


async def _run(settings: Settings, options: argparse.Namespace) -> None:
    spare_collector()
    screen = Screen(sys.stdout)
    pool = await open_shadow(settings.database_url.get_secret_value(), size=connections(options.workers))
    try:
        rebuild = Rebuild(pool, range(settings.partitions), screen, workers=options.workers)
        await rebuild.prepare(fresh=options.fresh)
        await rebuild.catch_up()
        outcomes = await rebuild.compare()
        for line in report(outcomes):
            screen.say(line)
        different = sum(outcome.different for outcome in outcomes)
        if options.swap:
            await rebuild.swap()
            screen.say(f"the rebuilt tables are the live ones now; {different:,} rows were different")
        elif different:
            raise ValueError("the live tables are not what the journal says; --swap replaces them")
        else:
            screen.say("the live tables are what the journal says")
    finally:
        await close_pool(pool)


REBUILD = OperatorCommand("fold the journal anew, and compare the result with the tables", _run, _arguments)
