"""What the operator's commands `rebuild` have in common: their steps, their options, and what they tell."""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import asyncpg

from shared.comparison import Outcome, report

T = TypeVar("T")

ATTEMPTS = 20
"""How often a step that needs the lanes or the tables for itself is tried."""

PAUSE_SECONDS = 1.0
PROGRESS_SECONDS = 1.0

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
    outcomes = await steps.compare()
    steps.say("\n".join(report(outcomes)))
    if options.swap:
        await steps.swap()
        steps.say("the rebuilt tables are the live ones now")
    elif any(outcome.different for outcome in outcomes):
        raise ValueError("the live tables are not what was rebuilt; --swap replaces them")


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


async def shared_out(lanes: Sequence[int], work: Callable[[int], Awaitable[None]], *, workers: int) -> None:
    """Work on all lanes, so many at a time; raise the first error."""
    left = iter(lanes)

    async def worker() -> None:
        for lane in left:
            await work(lane)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(worker())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


class Progress:
    """Tells now and then how far a fold is.

    Args:
        folded, total: of what is folded there are so many, and are to be in the end.
        what: what these are.
    """

    def __init__(self, folded: int, total: int, what: str, say: Say) -> None:
        self.added = 0
        self._before, self._total, self._what, self._say = folded, total, what, say
        self._told_at = time.monotonic()

    def add(self, folded: int) -> None:
        self.added += folded
        if time.monotonic() - self._told_at > PROGRESS_SECONDS:
            self.tell()

    def tell(self) -> None:
        folded = self._before + self.added
        self._say(f"{folded} of {max(folded, self._total)} {self._what} are folded")
        self._told_at = time.monotonic()


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--swap", action="store_true", help="put the result in the place of the live tables")
    parser.add_argument("--fresh", action="store_true", help="begin anew, as after a release that folds differently")
    parser.add_argument(
        "--workers", type=int, default=2, choices=range(1, 17), metavar="N", help="lanes at a time; 1 to 16"
    )
