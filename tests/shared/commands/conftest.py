"""A ledger on a fresh database."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.commands.gateway import Gateway
from shared.database import Pool, open_writer
from tests.support.ledger import READ_MODEL, WRITING


@pytest.fixture
async def ledger(kernel_database: str) -> str:
    """DSN of a database with the kernel's and the ledger's tables."""
    connection = await asyncpg.connect(kernel_database)
    await connection.execute(READ_MODEL)
    await connection.close()
    return kernel_database


@pytest.fixture
async def pool(ledger: str) -> AsyncIterator[Pool]:
    pool = await open_writer(ledger, name="test", size=10)
    yield pool
    await pool.close()


@pytest.fixture
async def gateway(pool: Pool) -> AsyncIterator[Gateway]:
    gateway = Gateway(pool, WRITING)
    yield gateway
    await gateway.close()


@pytest.fixture
async def other(pool: Pool) -> AsyncIterator[Gateway]:
    """Another process's gateway on the same database."""
    gateway = Gateway(pool, WRITING)
    yield gateway
    await gateway.close()
