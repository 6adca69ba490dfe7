from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

import services.scoring
from tests.support.databases import KERNEL, Databases

MIGRATIONS = Path(services.scoring.__path__[0]) / "migrations"


@pytest.fixture
async def scoring_database(databases: Databases, anyio_backend: str) -> AsyncIterator[str]:
    """DSN of a fresh database with the tables of scoring."""
    async with databases.fresh(template=await databases.template(KERNEL, MIGRATIONS)) as dsn:
        yield dsn


@pytest.fixture
async def pool(scoring_database: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    """Connections to that database."""
    async with asyncpg.create_pool(scoring_database, min_size=1, max_size=8) as opened:
        yield opened
