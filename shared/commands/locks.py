"""Advisory locks of a command batch: tried without waiting, or waited for in one fixed order. They take no transaction id."""

from collections.abc import Mapping

import asyncpg

LOCK_SECONDS = 1.0
"""How long a batch that waits for its locks waits for each."""

_TRY = """
select given.number
  from unnest($1::bigint[], $2::boolean[]) as given (number, shared)
 where not case when given.shared then pg_try_advisory_xact_lock_shared(given.number)
                else pg_try_advisory_xact_lock(given.number) end
"""

_WAIT = """
select case when given.shared then pg_advisory_xact_lock_shared(given.number)
            else pg_advisory_xact_lock(given.number) end
  from unnest($1::bigint[], $2::boolean[]) as given (number, shared)
"""


async def try_locks(connection: asyncpg.Connection, locks: Mapping[int, bool]) -> frozenset[int]:
    """Take every lock that is free now; return the numbers of those that are held elsewhere."""
    ordered = sorted(locks)
    rows = await connection.fetch(_TRY, ordered, [locks[number] for number in ordered])
    return frozenset(row[0] for row in rows)


async def wait_locks(connection: asyncpg.Connection, locks: Mapping[int, bool]) -> None:
    """Take all locks, sorted by number, each at once in the strongest mode wanted, so that no two batches wait for each other.

    Raises:
        asyncpg.LockNotAvailableError: a lock was not free within LOCK_SECONDS.
    """
    ordered = sorted(locks)
    await connection.execute(f"set local lock_timeout = '{int(LOCK_SECONDS * 1000)}ms'")
    await connection.fetch(_WAIT, ordered, [locks[number] for number in ordered])
    await connection.execute("set local lock_timeout = 0")
