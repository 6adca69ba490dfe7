"""A second set of the tables that are folded from the journal, in a schema of its own, and how it takes their place.

Connections of a rebuild find the shadow's tables first, by their search path, and all others where they always are. So the
code that folds and writes for the lanes serves the shadow unchanged.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from services.scoring.boards import LAYOUT_LOCK
from services.scoring.projections import ScoringProjection
from shared.database import Pool
from shared.failpoints import failpoint
from shared.messaging.lanes import LOCK, replace_stamps

SCHEMA = "rebuild"

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

LANES_LOCK_TIMEOUT = "2s"
TABLES_LOCK_TIMEOUT = "500ms"
"""Less than `deadlock_timeout`: a swap gives up before a reader is made to."""

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


async def open_shadow(dsn: str, *, size: int) -> Pool:
    """A pool of connections that find the shadow's tables first. No statement is cut short: some are long."""
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=size,
        server_settings={
            "application_name": "qunli scoring rebuild",
            "search_path": f"{SCHEMA}, public",
            "timezone": "UTC",
            "jit": "off",
        },
    )


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
            await _create_like(connection, table)
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


async def _create_like(connection: Any, table: str) -> None:
    """With constraints and indexes of the same definitions and names, which `like` alone does not give."""
    await connection.execute(f"create table {SCHEMA}.{table} (like public.{table} including all excluding indexes)")
    statements = await connection.fetch(
        """
        select 'alter table rebuild.' || $1 || ' set (' || array_to_string(reloptions, ', ') || ')'
          from pg_class
         where oid = ('public.' || $1)::regclass
           and reloptions is not null
         union all
        select format('alter table rebuild.%I add constraint %I %s', $1, conname, pg_get_constraintdef(oid))
          from pg_constraint
         where conrelid = ('public.' || $1)::regclass
           and contype in ('p', 'u')
         union all
        select replace(pg_get_indexdef(indexrelid), ' ON public.', ' ON rebuild.')
          from pg_index
         where indrelid = ('public.' || $1)::regclass
           and not exists (select from pg_constraint where conindid = indexrelid)
        """,
        table,
    )
    for (statement,) in statements:
        await connection.execute(statement)


async def hold_lanes(connection: Any, lanes: Sequence[int]) -> None:
    """Keep the live lanes from going on until the transaction ends.

    Raises:
        asyncpg.LockNotAvailableError: not soon enough.
    """
    await connection.execute(f"set local lock_timeout = '{LANES_LOCK_TIMEOUT}'")
    await connection.execute(LOCK, ScoringProjection.consumer, lanes)


async def swap(connection: Any, lanes: Sequence[int], fold_rest: Callable[[Any], Awaitable[None]]) -> None:
    """Put the shadow's tables in the place of the live ones, in one transaction. Then there is no shadow any more, and
    what processes remember of lanes is old. So is what they remember of buckets: the new layout has a stamp of its own.

    Args:
        fold_rest: folds what is left of the journal, on the connection that it is given.

    Raises:
        asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError: lanes or readers are too busy; nothing changed.
    """
    async with connection.transaction():
        await hold_lanes(connection, lanes)
        await connection.execute("select pg_advisory_xact_lock($1)", LAYOUT_LOCK)
        await fold_rest(connection)
        await connection.execute(f"set local lock_timeout = '{TABLES_LOCK_TIMEOUT}'")
        live = ", ".join(f"public.{table}" for table in TABLES)
        await connection.execute(f"lock table {live} in access exclusive mode")
        await connection.execute(
            f"""
            select setval(pg_get_serial_sequence('{SCHEMA}.commission_entries', 'entry_no'),
                          nextval(pg_get_serial_sequence('public.commission_entries', 'entry_no')))
            """
        )
        await connection.execute(f"drop trigger keep_entry_no on {SCHEMA}.commission_entries")
        for table in TABLES:
            await connection.execute(f"drop table public.{table}")
            await connection.execute(f"alter table {SCHEMA}.{table} set schema public")
        await connection.execute(f"drop schema {SCHEMA} cascade")
        await replace_stamps(connection, ScoringProjection.consumer, lanes)
        await failpoint("rebuild.before-swap-commit")
