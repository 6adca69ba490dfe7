from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from services.scoring.definition import SCORING
from tests.scoring.feeder import Feeder
from tests.support.databases import Databases
from tests.support.serving import Served, serving


@pytest.fixture
async def scoring_database(databases: Databases, anyio_backend: str) -> AsyncIterator[str]:
    """DSN of a fresh database with the tables of scoring."""
    async with databases.fresh(template=await databases.template(*SCORING.migrations)) as dsn:
        yield dsn


@pytest.fixture
async def pool(scoring_database: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    """Connections to that database."""
    async with asyncpg.create_pool(scoring_database, min_size=1, max_size=8) as opened:
        yield opened


@pytest.fixture
async def scoring(scoring_database: str, tmp_path: Path) -> AsyncIterator[Served]:
    """The service over that database."""
    async with serving(SCORING, scoring_database, tmp_path) as served:
        yield served


@pytest.fixture
async def feeder(pool: "asyncpg.Pool[asyncpg.Record]") -> AsyncIterator[Feeder]:
    """Its projection over the same database."""
    async with pool.acquire() as connection:
        yield Feeder(connection)
