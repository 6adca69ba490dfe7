"""The shadow of the tables that are folded from the journal (`shared.shadow`), and how it takes their place."""

from collections.abc import Sequence
from typing import Any

from services.scoring.boards import LAYOUT_LOCK, Layout, hold_layout
from services.scoring.folding import begin, communities_of, complete
from services.scoring.journaled import Journaled, page
from services.scoring.meeting import meet
from services.scoring.memory import LaneMemory
from services.scoring.projections import ScoringProjection
from services.scoring.recall import give_numbers
from services.scoring.rulesetreads import PublishedRulesets
from services.scoring.writing import write_results
from shared.failpoints import failpoint
from shared.messaging.facts import Poison
from shared.messaging.lanes import LOCK, replace_stamps
from shared.messaging.voids import leave
from shared.shadow import SCHEMA, create_like, hold_lanes, lock_tables, replace_tables

TABLES = (
    "point_entries",
    "day_counts",
    "standings",
    "orders",
    "commission_entries",
    "commission_standings",
    "rank_buckets",
    "rank_layout",
)
"""What is rebuilt, in the order in which it is locked and replaced. All else is the truth, or gives numbers."""

PAGE = 2000
"""Journal rows that are folded in one transaction."""

_OF_THE_SHADOW = f"scoring {SCHEMA}"
"""Whose lanes are locked by who folds a page: several rebuilds at once share the work."""

_KEPT_NUMBERS = f"""
create function {SCHEMA}.keep_entry_no() returns trigger language plpgsql as $$
begin
    new.entry_no = coalesce(
        (select entry_no from public.commission_entries where entry = new.entry),
        nextval(pg_get_serial_sequence('public.commission_entries', 'entry_no'))
    );
    return new;
end
$$;
create trigger keep_entry_no before insert on {SCHEMA}.commission_entries
    for each row execute function {SCHEMA}.keep_entry_no()
"""
"""Lists go by these numbers, and readers have cursors into them."""


async def prepare(connection: Any, lanes: Sequence[int], *, fresh: bool) -> bool:
    """Make the shadow's tables, empty, unless they are there already.

    Args:
        fresh: drop what is there.

    Returns:
        Whether an earlier rebuild is resumed.

    Raises:
        ValueError: the journal has other lanes than these.
    """
    highest = await connection.fetchval("select max(lane) from journal")
    if highest is not None and highest not in lanes:
        raise ValueError(f"the journal has a lane {highest}; is the number of partitions right?")
    async with connection.transaction():
        if fresh:
            await connection.execute(f"drop schema if exists {SCHEMA} cascade")
        if await connection.fetchval(f"select to_regclass('{SCHEMA}.progress') is not null"):
            return True
        await connection.execute(f"create schema {SCHEMA}")
        for table in TABLES:
            await create_like(connection, table)
        await connection.execute(_KEPT_NUMBERS)
        await connection.execute("insert into rank_layout default values")
        await connection.execute(f"create table {SCHEMA}.progress (lane smallint primary key, seq bigint not null)")
        await connection.execute("insert into progress select unnest($1::smallint[]), 0", lanes)
    return False


class Shadow:
    """Folds the journal into the shadow's tables.

    Args:
        page_rows: folded in one transaction.
    """

    def __init__(self, lanes: Sequence[int], page_rows: int = PAGE) -> None:
        self.lanes = lanes
        self.page_rows = page_rows
        self._layout = Layout()
        self._rulesets = PublishedRulesets()
        self._memories: dict[int, LaneMemory] = {}

    async def fold_page(self, connection: Any, lane: int) -> int:
        """Fold the next rows of a lane and move its progress, in one transaction; the number of rows.

        Raises:
            ValueError: the journal cannot be folded.
        """
        async with connection.transaction():
            await connection.execute(LOCK, _OF_THE_SHADOW, [lane])
            await hold_layout(connection)
            seq = await connection.fetchval("select seq from progress where lane = $1", lane)
            rows = await page(connection, lane, seq, self.page_rows)
            if not rows:
                return 0
            if rows[-1].seq != seq + len(rows):
                raise ValueError(f"rows are missing from the journal of lane {lane} after {seq}")
            memory = self._memories.pop(lane, None)
            if memory is None or memory.next_seq != seq + 1:
                memory = LaneMemory(lane, seq + 1)
            try:
                await self._fold(connection, memory, rows)
            except Poison as error:
                raise ValueError(f"journal of lane {lane}, row {error.fact.offset}: {error.reason}") from error
            await connection.execute("update progress set seq = $2 where lane = $1", lane, rows[-1].seq)
            await failpoint("rebuild.before-page-commit")
        self._memories[lane] = memory
        await failpoint("rebuild.after-page")
        return len(rows)

    async def fold_rest(self, connection: Any) -> None:
        """Fold what is left in all lanes. Whoever calls this keeps the lanes from going on."""
        for lane in self.lanes:
            while await self.fold_page(connection, lane) == self.page_rows:
                pass

    async def _fold(self, connection: Any, memory: LaneMemory, rows: Sequence[Journaled]) -> None:
        batch = meet(memory, (row.fact for row in rows), (row.message for row in rows), (row.ruleset for row in rows))
        folds = await begin(connection, [memory], [batch], self._rulesets)
        await give_numbers(connection, [memory])
        complete(folds, [batch])
        await write_results(connection, folds, await self._layout.of(connection, communities_of(folds)))
        memory.settle(folds[0].touched, max_persons=10_000, max_counts=50_000)


async def swap(connection: Any, shadow: Shadow) -> None:
    """Put the shadow's tables in the place of the live ones, in one transaction. Then there is no shadow any more, and
    what processes remember of lanes is old. So is what they remember of buckets: the new layout has a stamp of its own.

    Raises:
        asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError: lanes or readers are too busy; nothing changed.
    """
    async with connection.transaction():
        await hold_lanes(connection, ScoringProjection.consumer, shadow.lanes)
        await connection.execute("select pg_advisory_xact_lock($1)", LAYOUT_LOCK)
        await shadow.fold_rest(connection)
        await lock_tables(connection, TABLES)
        await connection.execute(
            f"""
            select setval(pg_get_serial_sequence('{SCHEMA}.commission_entries', 'entry_no'),
                          nextval(pg_get_serial_sequence('public.commission_entries', 'entry_no')))
            """
        )
        await connection.execute(f"drop trigger keep_entry_no on {SCHEMA}.commission_entries")
        await replace_tables(connection, TABLES)
        await leave(connection, ScoringProjection.consumer, ScoringProjection.topics)
        await replace_stamps(connection, ScoringProjection.consumer, shadow.lanes)
        await failpoint("rebuild.before-swap-commit")
