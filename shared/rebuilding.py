"""What the operator's commands `rebuild` have in common: their steps, their options, and what they tell."""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TextIO, TypeVar

import asyncpg

from shared.comparison import Outcome, report

P = TypeVar("P")
T = TypeVar("T")

ATTEMPTS = 20
"""How often a step that needs the lanes or the tables for itself is tried."""

PAUSE_SECONDS = 1.0
PROGRESS_SECONDS = 1.0
BAR_CELLS = 30

Say = Callable[[str], None]
"""Tells the operator."""


class Steps(Protocol):
    """A rebuild, step by step. Any step may be cut off at any point and called again, by another process too."""

    say: Say

    async def prepare(self, *, fresh: bool = False) -> None:
        """Make the shadow, or find it."""

    async def catch_up(self) -> None:
        """Fold until hardly anything is left, while the lanes go on.

        Raises:
            ValueError: something cannot be folded.
        """

    async def compare(self) -> list[Outcome]:
        """Compare live and rebuilt tables as they are at one moment. The lanes stand only until it is fixed.

        Raises:
            TimeoutError: the lanes were too busy, again and again.
        """

    async def swap(self) -> None:
        """Put the rebuilt tables in the place of the live ones.

        Raises:
            TimeoutError: lanes or readers were too busy, again and again. Nothing changed.
        """


async def rebuild(steps: Steps, options: argparse.Namespace) -> None:
    """Take all steps that the operator asks for.

    Raises:
        ValueError: the tables differ and are not to be replaced.
    """
    await steps.prepare(fresh=options.fresh)
    await steps.catch_up()
    steps.say("comparing")
    outcomes = await steps.compare()
    steps.say("\n".join(report(outcomes)))
    different = sum(outcome.different for outcome in outcomes)
    if options.swap:
        await steps.swap()
        steps.say(f"the rebuilt tables are the live ones now; {different:,} rows were different")
    elif different:
        raise ValueError("the live tables are not what was rebuilt; --swap replaces them")
    else:
        steps.say("the live tables are what was rebuilt")


async def insist(step: Callable[[], Awaitable[T]], steps: Steps) -> T:
    """Try a step again and again while lanes or readers are too busy, and catch up in between.

    Raises:
        TimeoutError: in vain.
    """
    for _ in range(ATTEMPTS):
        try:
            return await step()
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            steps.say(f"trying again: {error}")
        await asyncio.sleep(PAUSE_SECONDS)
        await steps.catch_up()
    raise TimeoutError("lanes or readers are too busy; nothing was changed, and what was folded is kept")


async def shared_out(pieces: Iterable[P], work: Callable[[P], Awaitable[None]], *, workers: int) -> None:
    """Work on all pieces, so many at a time; raise the first error."""
    left = iter(pieces)

    async def worker() -> None:
        for piece in left:
            await work(piece)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(worker())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


class Screen:
    """Where the operator reads lines, and sees the state of what takes long: on a terminal as a line that stays in its
    place, elsewhere, as in a log, as one of its own now and then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self.seconds = 0.2 if self._terminal else 5.0
        """Between two states."""

    def __call__(self, text: str) -> None:
        self._write(f"{text}\n")

    def show(self, state: str) -> None:
        """A state, which the next line or state replaces on a terminal."""
        self._write(state if self._terminal else f"{state}\n")

    def _write(self, text: str) -> None:
        self._stream.write(f"\r\x1b[K{text}" if self._terminal else text)
        self._stream.flush()


class Progress:
    """Tells now and then how far a fold is, how fast, and how long it will take.

    Args:
        folded, total: of what is folded there are so many, and are to be in the end.
        what: what these are.
    """

    def __init__(self, folded: int, total: int, what: str, say: Say) -> None:
        self.added = 0
        self._before, self._total, self._what, self._say = folded, total, what, say
        self._seconds = say.seconds if isinstance(say, Screen) else PROGRESS_SECONDS
        self._began_at = self._told_at = time.monotonic()

    def add(self, folded: int) -> None:
        self.added += folded
        if time.monotonic() - self._told_at > self._seconds:
            self._told_at = time.monotonic()
            state = f"{self._bar()}, {_duration(self._left())} left"
            (self._say.show if isinstance(self._say, Screen) else self._say)(state)

    def end(self) -> None:
        """All is folded that was to be."""
        if self.added:
            self._say(self._bar())

    def _bar(self) -> str:
        folded = self._before + self.added
        total = max(folded, self._total)
        full = BAR_CELLS * folded // total
        return (
            f"{100 * folded // total:3}% |{'#' * full:<{BAR_CELLS}}| {folded:,} of {total:,} {self._what}, "
            f"{self._rate():,.0f} a second"
        )

    def _rate(self) -> float:
        return self.added / max(time.monotonic() - self._began_at, 1e-3)

    def _left(self) -> float:
        return (self._total - self._before - self.added) / max(self._rate(), 1e-3)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--swap", action="store_true", help="put the result in the place of the live tables")
    parser.add_argument("--fresh", action="store_true", help="begin anew, as after a release that folds differently")
    parser.add_argument(
        "--workers", type=int, default=3, choices=range(1, 17), metavar="N", help="lanes at a time; 1 to 16"
    )
