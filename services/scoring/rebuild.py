"""The operator's command `rebuild`: fold the journal anew beside the lanes, compare, and put the result in their place."""

import argparse
import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

import asyncpg

from services.scoring.boards import split_oversized
from services.scoring.comparison import Outcome, compare
from services.scoring.shadow import PAGE, TABLES, Shadow, hold_lanes, open_shadow, prepare, swap
from shared.database import Pool
from shared.service import OperatorCommand, close_pool
from shared.settings import Settings

T = TypeVar("T")

ATTEMPTS = 20
"""How often a step that needs the lanes or the tables for itself is tried."""

PAUSE_SECONDS = 1.0
PROGRESS_SECONDS = 1.0


class Rebuild:
    """One rebuild, step by step. Any step may be cut off at any point and called again, by another process too.

    Args:
        pool: of `open_shadow`, with three connections more than workers.
        lanes: all that there are.
        workers: lanes that are folded at a time.
        page_rows: journal rows that are folded in one transaction.
        say: tells the operator.
    """

    def __init__(
        self,
        pool: Pool,
        lanes: Sequence[int],
        *,
        workers: int = 2,
        page_rows: int = PAGE,
        say: Callable[[str], None] = print,
    ) -> None:
        self._pool = pool
        self._workers = workers
        self.say = say
        self._shadow = Shadow(lanes, page_rows)

    async def prepare(self, *, fresh: bool = False) -> None:
        """Make the shadow, or find it."""
        async with self._pool.acquire() as connection:
            if await prepare(connection, self._shadow.lanes, fresh=fresh):
                self.say("going on with an earlier rebuild")

    async def catch_up(self) -> None:
        """Fold the journal until hardly anything is left of it, while the lanes go on.

        Raises:
            ValueError: the journal cannot be folded.
        """
        few = self._shadow.page_rows * len(self._shadow.lanes)
        while await self._fold_once() > few:
            continue
        with contextlib.suppress(asyncpg.LockNotAvailableError):  # or the lanes' own splitter does it, after the swap
            await split_oversized(self._pool)
        async with self._pool.acquire() as connection:
            for table in TABLES:
                await connection.execute(f"analyze {table}")
        await self._fold_once()

    async def compare(self) -> list[Outcome]:
        """Compare live and rebuilt tables as they are at one moment. The lanes stand only until it is fixed.

        Raises:
            TimeoutError: the lanes were too busy, again and again.
        """
        return await self._insist(self._compare)

    async def swap(self) -> None:
        """Put the rebuilt tables in the place of the live ones.

        Raises:
            TimeoutError: lanes or readers were too busy, again and again. Nothing changed.
        """
        await self._insist(self._swap)

    async def _fold_once(self) -> int:
        """Fold what every lane has now; the number of rows."""
        lanes = iter(self._shadow.lanes)
        progress = _Progress(*await self._how_far(), self.say)

        async def work() -> None:
            async with self._pool.acquire() as connection:
                for lane in lanes:
                    folded = self._shadow.page_rows
                    while folded == self._shadow.page_rows:
                        folded = await self._shadow.fold_page(connection, lane)
                        progress.add(folded)

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(self._workers):
                    workers.create_task(work())
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        progress.tell()
        return progress.added

    async def _how_far(self) -> tuple[int, int]:
        """(rows folded, rows there are)"""
        row = await self._pool.fetchrow(
            """
            select coalesce(sum(seq), 0)::bigint,
                   coalesce(sum((select max(seq) from journal where journal.lane = progress.lane)), 0)::bigint
              from progress
            """
        )
        return row[0], row[1]

    async def _compare(self) -> list[Outcome]:
        async with (
            self._pool.acquire() as reader,
            reader.transaction(isolation="repeatable_read", readonly=True),
        ):
            async with (
                self._pool.acquire() as holder,
                holder.transaction(),
                self._pool.acquire() as worker,
            ):
                await hold_lanes(holder, self._shadow.lanes)
                await self._shadow.fold_rest(worker)
                await reader.execute("select from progress")  # its first statement fixes what it sees
            return await compare(reader)

    async def _swap(self) -> None:
        async with self._pool.acquire() as connection:
            await swap(connection, self._shadow)

    async def _insist(self, step: Callable[[], Awaitable[T]]) -> T:
        for _ in range(ATTEMPTS):
            try:
                return await step()
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
                self.say(f"trying again: {error}")
            await asyncio.sleep(PAUSE_SECONDS)
            await self.catch_up()
        raise TimeoutError("lanes or readers are too busy; nothing was changed, and what was folded is kept")


class _Progress:
    """Tells now and then how far the fold is."""

    def __init__(self, folded: int, rows: int, say: Callable[[str], None]) -> None:
        self.added = 0
        self._before, self._rows, self._say = folded, rows, say
        self._told_at = time.monotonic()

    def add(self, folded: int) -> None:
        self.added += folded
        if time.monotonic() - self._told_at > PROGRESS_SECONDS:
            self.tell()

    def tell(self) -> None:
        folded = self._before + self.added
        self._say(f"{folded} of {max(folded, self._rows)} rows of the journal are folded")
        self._told_at = time.monotonic()


def report(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What the operator reads of a comparison, line by line."""
    for outcome in outcomes:
        yield f"{outcome.table}: {outcome.rows} rows, {outcome.different} different"
        for difference in outcome.first:
            yield f"    live    {difference.live or 'missing'}"
            yield f"    rebuilt {difference.rebuilt or 'missing'}"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--swap", action="store_true", help="put the result in the place of the live tables")
    parser.add_argument("--fresh", action="store_true", help="begin anew, as after a release that folds differently")
    parser.add_argument(
        "--workers", type=int, default=2, choices=range(1, 17), metavar="N", help="lanes at a time; 1 to 16"
    )


async def _run(settings: Settings, options: argparse.Namespace) -> None:
    pool = await open_shadow(settings.database_url.get_secret_value(), size=options.workers + 3)
    try:
        rebuild = Rebuild(pool, range(settings.partitions), workers=options.workers)
        await rebuild.prepare(fresh=options.fresh)
        await rebuild.catch_up()
        outcomes = await rebuild.compare()
        rebuild.say("\n".join(report(outcomes)))
        if options.swap:
            await rebuild.swap()
            rebuild.say("the rebuilt tables are the live ones now")
        elif any(outcome.different for outcome in outcomes):
            raise ValueError("the live tables are not what the journal says; --swap replaces them")
    finally:
        await close_pool(pool)


REBUILD = OperatorCommand("fold the journal anew, and compare the result with the tables", _run, _arguments)
