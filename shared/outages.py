"""Which exceptions mean that a server behind us is away or overloaded: worth a retry, and no fault of the request."""

import socket
from collections.abc import Iterator

import asyncpg
import sqlalchemy.exc

from shared.errors import Unavailable

_AWAY: tuple[type[BaseException], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,  # shutdown, restart, statement timeout
    asyncpg.exceptions.InsufficientResourcesError,  # connections, memory, disk
    asyncpg.InvalidCatalogNameError,
    asyncpg.exceptions.IdleInTransactionSessionTimeoutError,
    asyncpg.exceptions.ReadOnlySQLTransactionError,  # a standby after a failover
    asyncpg.exceptions.TargetServerAttributeNotMatched,
    ConnectionError,
    socket.gaierror,
)
_BUSY: tuple[type[BaseException], ...] = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    sqlalchemy.exc.TimeoutError,
    TimeoutError,
)
_IS_COPY = "QL002"
"""SQLSTATE of an append to a restored database (shared/sql/0007_home.sql)."""

_CLOSED = ("connection is closed", "connection was closed", "pool is clos", "another operation is in progress")
"""What asyncpg says, in an InterfaceError, about a connection that died; its other InterfaceErrors are our mistakes."""


def outage_of(error: BaseException) -> Unavailable | None:
    """The 503 to answer, or None if the exception is something else (a bug)."""
    for cause in _causes(error):
        if isinstance(cause, _BUSY):
            return Unavailable("busy", "Too much is waiting for the same thing. Try again.")
        if getattr(cause, "sqlstate", None) == _IS_COPY:
            return Unavailable("database-restored", "The database was restored. Try again when its epoch is raised.")
        if isinstance(cause, _AWAY) or _connection_lost(cause):
            return Unavailable("database-unavailable", "The database cannot be reached. Try again.")
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    # SQLAlchemy wraps the driver's exception twice: `.orig`, and that one's `__cause__`.
    current: BaseException | None = error
    for _ in range(6):
        if current is None:
            return
        yield current
        current = getattr(current, "orig", None) or current.__cause__


def _connection_lost(error: BaseException) -> bool:
    if isinstance(error, asyncpg.InterfaceError):
        return any(words in str(error) for words in _CLOSED)
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        return error.connection_invalidated
    # asyncio names several failed addresses in one OSError without a number.
    return type(error) is OSError and error.errno is None
