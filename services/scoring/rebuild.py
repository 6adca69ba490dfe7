"""The operator's command `rebuild`: fold the journal anew beside the lanes, compare, and put the result in their place."""

import argparse
import contextlib
import sys
from collections.abc import Sequence

import asyncpg

from services.scoring.boards import split_oversized
from services.scoring.comparison import COMPARED
from services.scoring.projections import ScoringProjection
from services.scoring.refold import Refold
from services.scoring.shadow import TABLES, prepare, swap
from services.scoring.undoing import undo
from shared.comparison import Outcome, compare
from shared.database import Pool
from shared.lifecycle import spare_collector
from shared.messaging.logs import open_log
from shared.rebuilding import Progress, Say, Screen, arguments, insist, rebuild, shared_out
from shared.service import OperatorCommand, close_pool
from shared.settings import Settings
from shared.shadow import hold_lanes, open_shadow


def connections(workers: int) -> int:
    """How many a rebuild uses: two for each worker, or three to compare."""
    return max(2 * workers, 3)


class Rebuild:
    """One rebuild, step by step. Any step may be cut off at any point and called again, by another process too.

    Args:
        pool: of `open_shadow`, with as many `connections` as it needs.
        lanes: all that there are.
        workers: lanes that are folded at a time.
        page_rows: see `Refold`.
        say: tells the operator.
    """

    def __init__(
        self,
        pool: Pool,
        lanes: Sequence[int],
        *,
        workers: int = 2,
        page_rows: int | None = None,
        say: Say = print,
    ) -> None:
        self._pool = pool
        self._workers = workers
        self.say = say
        self._refold = Refold(lanes, page_rows)

    async def prepare(self, *, fresh: bool = False) -> None:
        """Make the shadow, or find it."""
        async with self._pool.acquire() as connection:
            resumed = await prepare(connection, self._refold.lanes, fresh=fresh)
        folded, written = await self._how_far()
        begun = f"going on with an earlier rebuild, which has folded {folded:,}" if resumed else "folding all"
        self.say(f"{begun} of {written:,} rows of the journal")

    async def catch_up(self) -> None:
        """Fold the journal until hardly anything is left of it, while the lanes go on.

        Raises:
            ValueError: the journal cannot be folded.
        """
        few = self._refold.page_rows * len(self._refold.lanes)
        while await self._fold_once() > few:
            continue
        with contextlib.suppress(asyncpg.LockNotAvailableError):  # or the lanes' own splitter does it, after the swap
            await split_oversized(self._pool)
        await shared_out(TABLES, self._analyze, workers=self._workers)
        await self._fold_once()

    async def compare(self) -> list[Outcome]:
        """Compare live and rebuilt tables as they are at one moment. The lanes stand only until it is fixed.

        Raises:
            TimeoutError: the lanes were too busy, again and again.
        """
        return await insist(self._compare, self)

    async def swap(self) -> None:
        """Put the rebuilt tables in the place of the live ones.

        Raises:
            TimeoutError: lanes or readers were too busy, again and again. Nothing changed.
        """
        await insist(self._swap, self)

    async def _fold_once(self) -> int:
        """Fold what every lane has now; the number of rows."""
        before, written = await self._how_far()
        progress = Progress(before, written, "rows of the journal", self.say)
        lanes = self._refold.lanes
        busy: list[int] = []

        async def fold_persons(lane: int) -> None:
            if not await self._fold_persons(lane, progress, wait=False):
                busy.append(lane)

        async def wait_for_persons(lane: int) -> None:
            await self._fold_persons(lane, progress, wait=True)

        async def fold_rows(lane: int) -> None:
            async with self._pool.acquire() as connection:
                folded = self._refold.page_rows
                while folded == self._refold.page_rows:
                    folded = await self._refold.fold_page(connection, lane)
                    progress.add(folded)

        for share, fold in ((lanes, fold_persons), (busy, wait_for_persons), (lanes, fold_rows)):
            await shared_out(share, fold, workers=self._workers)
        progress.end()
        after, _ = await self._how_far()
        return after - before

    async def _fold_persons(self, lane: int, progress: Progress, *, wait: bool) -> bool:
        async with self._pool.acquire() as reader, self._pool.acquire() as writer:
            return await self._refold.fold_persons(reader, writer, lane, wait=wait, folded=progress.add)

    async def _analyze(self, table: str) -> None:
        await self._pool.execute(f"analyze {table}")

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
                await hold_lanes(holder, ScoringProjection.consumer, self._refold.lanes)
                await self._refold.fold_rest(worker)
                await reader.execute("select from progress")  # its first statement fixes what it sees
            return await compare(reader, COMPARED)

    async def _swap(self) -> None:
        async with self._pool.acquire() as connection:
            await swap(connection, self._refold.lanes, self._refold.fold_rest)


async def _run(settings: Settings, options: argparse.Namespace) -> None:
    spare_collector()
    dsn = settings.database_url.get_secret_value()
    pool = await open_shadow(dsn, name="qunli scoring rebuild", size=connections(options.workers))
    try:
        steps = Rebuild(pool, range(settings.partitions), workers=options.workers, say=Screen(sys.stdout))
        if options.swap:
            await _undo(settings, pool, steps.say)
        await rebuild(steps, options)
    finally:
        await close_pool(pool)


async def _undo(settings: Settings, pool: Pool, say: Say) -> None:
    """Before all is folded anew, mark what restores have undone."""
    log = await open_log(settings, client_id="qunli-scoring")
    try:
        undone = await undo(pool, log, ScoringProjection(partitions=settings.partitions), range(settings.partitions))
    finally:
        await log.close()
    if undone.topics:
        say(f"restored were the writers of {', '.join(undone.topics)}")
        say(f"{undone.rows} rows of the journal became void, {undone.bookings} bookings of commission were taken back")


REBUILD = OperatorCommand("fold the journal anew, and compare the result with the tables", _run, arguments)
