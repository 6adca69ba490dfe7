"""A second set of some tables, in a schema of its own, and how it takes their place.

Connections of a rebuild find the shadow's tables first, by their search path, and all others where they always are. So the
code that folds and writes for the lanes serves the shadow unchanged.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg

from shared.database import Pool
from shared.messaging.lanes import LOCK

SCHEMA = "rebuild"

LANES_LOCK_TIMEOUT = "2s"
TABLES_LOCK_TIMEOUT = "500ms"
"""Less than `deadlock_timeout`: a swap gives up before a reader is made to."""


async def open_shadow(dsn: str, *, name: str, size: int) -> Pool:
    """A pool of connections that find the shadow's tables first. No statement is cut short: some are long."""
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=size,
        server_settings={
            "application_name": name,
            "search_path": f"{SCHEMA}, public",
            "timezone": "UTC",
            "jit": "off",
        },
    )


async def create_like(connection: Any, table: str) -> None:
    """Make the shadow's table, with constraints and indexes of the same definitions and names, which `like` alone does not
    give."""
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


async def hold_lanes(connection: Any, consumer: str, lanes: Sequence[int]) -> None:
    """Keep the live lanes from going on until the transaction ends.

    Raises:
        asyncpg.LockNotAvailableError: not soon enough.
    """
    await connection.execute(f"set local lock_timeout = '{LANES_LOCK_TIMEOUT}'")
    await connection.execute(LOCK, consumer, lanes)


async def lock_tables(connection: Any, tables: Sequence[str]) -> None:
    """Keep everybody out of the live tables until the transaction ends.

    Raises:
        asyncpg.LockNotAvailableError: readers are too busy.
    """
    await connection.execute(f"set local lock_timeout = '{TABLES_LOCK_TIMEOUT}'")
    live = ", ".join(f"public.{table}" for table in tables)
    await connection.execute(f"lock table {live} in access exclusive mode")


async def replace_tables(connection: Any, tables: Sequence[str]) -> None:
    """Drop the live tables, move the shadow's into their place, and drop what is left of the shadow."""
    for table in tables:
        await connection.execute(f"drop table public.{table}")
        await connection.execute(f"alter table {SCHEMA}.{table} set schema public")
    await connection.execute(f"drop schema {SCHEMA} cascade")
