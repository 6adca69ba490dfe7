"""Fold the journal anew beside the lanes, compare, and put the result in the place of what is there: step by step."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import asyncpg

from services.scoring.boards import split_oversized
from services.scoring.comparison import COMPARED, Outcome, compare
from services.scoring.refold import Refold
from services.scoring.shadow import TABLES, hold_lanes, prepare, swap
from shared.database import Pool

P = TypeVar("P")
T = TypeVar("T")

ATTEMPTS = 20
"""How often a step that needs the lanes or the tables for itself is tried."""

PAUSE_SECONDS = 1.0


class Teller(Protocol):
    """Tells the operator."""

    def say(self, text: str) -> None:
        """A line."""

    def begin(self, task: str, unit: str, done: int, total: int) -> None:
        """Something long begins, of which so much is done and so much there is."""

    def advance(self, count: int) -> None:
        """So much more of it is done."""

    def end(self) -> None:
        """It is over."""


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
    """

    def __init__(
        self, pool: Pool, lanes: Sequence[int], teller: Teller, *, workers: int = 2, page_rows: int | None = None
    ) -> None:
        self._pool = pool
        self._workers = workers
        self._teller = teller
        self._refold = Refold(lanes, page_rows)

    async def prepare(self, *, fresh: bool = False) -> None:
        """Make the shadow, or find it."""
        async with self._pool.acquire() as connection:
            resumed = await prepare(connection, self._refold.lanes, fresh=fresh)
        folded, written = await self._how_far()
        begun = f"going on with an earlier rebuild, which has folded {folded:,}" if resumed else "folding all"
        self._teller.say(f"{begun} of {written:,} rows of the journal")

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
        await self._share(TABLES, self._analyze)
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
        before, written = await self._how_far()
        self._teller.begin("folding", "rows", before, written)
        busy: list[int] = []
        await self._share(self._refold.lanes, lambda lane: self._fold_persons(lane, busy))
        await self._share(busy, lambda lane: self._fold_persons(lane, None))
        await self._share(self._refold.lanes, self._fold_rows)
        self._teller.end()
        after, _ = await self._how_far()
        return after - before

    async def _share(self, pieces: Iterable[P], do: Callable[[P], Awaitable[None]]) -> None:
        """Do something with all of these, with as many at a time as there are workers."""
        left = iter(pieces)

        async def work() -> None:
            for piece in left:
                await do(piece)

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(self._workers):
                    workers.create_task(work())
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _fold_persons(self, lane: int, busy: list[int] | None) -> None:
        """Those lanes which somebody else folds are noted as busy; without such a list they are waited for."""
        async with self._pool.acquire() as reader, self._pool.acquire() as writer:
            wait = busy is None
            done = await self._refold.fold_persons(reader, writer, lane, wait=wait, folded=self._teller.advance)
        if busy is not None and not done:
            busy.append(lane)

    async def _fold_rows(self, lane: int) -> None:
        async with self._pool.acquire() as connection:
            folded = self._refold.page_rows
            while folded == self._refold.page_rows:
                folded = await self._refold.fold_page(connection, lane)
                self._teller.advance(folded)

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
                await hold_lanes(holder, self._refold.lanes)
                await self._refold.fold_rest(worker)
                await reader.execute("select from progress")  # its first statement fixes what it sees
            self._teller.begin("comparing", "tables", 0, len(COMPARED))
            outcomes = []
            async for outcome in compare(reader):
                outcomes.append(outcome)
                self._teller.advance(1)
            self._teller.end()
            return outcomes

    async def _swap(self) -> None:
        async with self._pool.acquire() as connection:
            await swap(connection, self._refold.lanes, self._refold.fold_rest)

    async def _insist(self, step: Callable[[], Awaitable[T]]) -> T:
        for _ in range(ATTEMPTS):
            try:
                return await step()
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
                self._teller.say(f"trying again: {error}")
            await asyncio.sleep(PAUSE_SECONDS)
            await self.catch_up()
        raise TimeoutError("lanes or readers are too busy; nothing was changed, and what was folded is kept")
