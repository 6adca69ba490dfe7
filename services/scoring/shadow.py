"""The shadow of the tables that are folded from the journal (`shared.shadow`), and how it takes their place."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from services.scoring.boards import LAYOUT_LOCK
from services.scoring.projections import ScoringProjection
from shared.failpoints import failpoint
from shared.messaging.lanes import replace_stamps
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

_PROGRESS = f"""
create table {SCHEMA}.progress (
    lane    smallint primary key,
    through bigint   not null,              -- up to this journal number the lane is folded person by person,
    person  integer,                        -- of whom this is the last one that was; null: all were
    seq     bigint   not null default 0,    -- how many rows are folded; once all persons are, the last one's number
    stamp   uuid     not null default gen_random_uuid()    -- replaced by whatever moves the lane
)
"""

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
        await connection.execute(_PROGRESS)
        await connection.execute(
            """
            insert into progress (lane, through, person)
            select lane, through, case when through > 0 then 0 end
              from unnest($1::smallint[]) as lane,
                   lateral (select coalesce(max(seq), 0) as through from journal where journal.lane = lane.lane) as written
            """,
            lanes,
        )
    return False


async def swap(connection: Any, lanes: Sequence[int], fold_rest: Callable[[Any], Awaitable[None]]) -> None:
    """Put the shadow's tables in the place of the live ones, in one transaction. Then there is no shadow any more, and
    what processes remember of lanes is old. So is what they remember of buckets: the new layout has a stamp of its own.

    Args:
        fold_rest: folds what is left of the journal, on the connection that it is given.

    Raises:
        asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError: lanes or readers are too busy; nothing changed.
    """
    async with connection.transaction():
        await hold_lanes(connection, ScoringProjection.consumer, lanes)
        await connection.execute("select pg_advisory_xact_lock($1)", LAYOUT_LOCK)
        await fold_rest(connection)
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
        await replace_stamps(connection, ScoringProjection.consumer, lanes)
        await failpoint("rebuild.before-swap-commit")
