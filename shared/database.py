"""The two ways into a service's database: an asyncpg pool that writes, a SQLAlchemy engine that only reads."""

from typing import TypeAlias

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

ACQUIRE_SECONDS = 2.0
"""How long a request waits for a connection before it is answered 503."""

STATEMENT_SECONDS = 10

_SETTINGS = {
    "application_name": "qunli",
    # A transaction that has written and then sleeps would hold back every relay of the cluster.
    "idle_in_transaction_session_timeout": "10s",
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "timezone": "UTC",
    "jit": "off",
}


async def _as_it_is(_: object) -> None:
    """Hand a connection back without the driver's reset, a round trip before every answer: nobody here changes a session
    (locks and settings end with their transaction, listeners have connections of their own). What is left of a failed
    transaction is rolled back nevertheless."""


async def open_writer(dsn: str, *, name: str, size: int) -> Pool:
    """A pool of at most `size` connections that may write.

    Statements are planned once. PostgreSQL would plan those that take arrays anew for every batch, hoping for a better
    plan, which takes about as long as running them for a small batch; they all go by key, so there is none.
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=size,
        timeout=5,
        command_timeout=STATEMENT_SECONDS + 5,
        max_inactive_connection_lifetime=60,
        reset=_as_it_is,
        server_settings=_SETTINGS | {"application_name": name, "plan_cache_mode": "force_generic_plan"},
    )


def open_reader(dsn: str, *, name: str, size: int) -> AsyncEngine:
    """An engine of at most `size` connections whose every transaction the server holds to be read-only."""
    url = make_url(dsn).set(drivername="postgresql+asyncpg")
    return create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=ACQUIRE_SECONDS,
        pool_recycle=600,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        connect_args={
            "timeout": 5,
            "command_timeout": STATEMENT_SECONDS + 5,
            "server_settings": _SETTINGS | {"application_name": name, "default_transaction_read_only": "on"},
        },
    )
