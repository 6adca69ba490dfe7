"""Campaigns, served, with what it has heard of membership and content."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from services.campaigns.definition import CAMPAIGNS
from services.campaigns.replica import Replica
from shared.messaging.facts import InboundFact
from shared.messaging.local import LocalLog
from tests.campaigns.heard import founded, in_lanes
from tests.campaigns.stage import Stage
from tests.support.databases import Databases
from tests.support.serving import Served, serving

Hear = Callable[..., Awaitable[None]]


@pytest.fixture
async def dsn(databases: Databases, anyio_backend: str) -> AsyncIterator[str]:
    """DSN of a fresh database with the tables of campaigns."""
    async with databases.fresh(template=await databases.template(*CAMPAIGNS.migrations)) as fresh:
        yield fresh


@pytest.fixture
async def campaigns(dsn: str, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(CAMPAIGNS, dsn, tmp_path) as served:
        yield served


@pytest.fixture
def hear(campaigns: Served) -> Hear:
    """Folds messages into the replica, as the consumer does."""

    async def fold(*facts: InboundFact) -> None:
        async with campaigns.kernel.writer.acquire() as connection, connection.transaction():
            await Replica().apply(connection, in_lanes(facts))

    return fold


@pytest.fixture
async def stage(campaigns: Served, database: str) -> AsyncIterator[Stage]:
    """Campaigns with a community that it knows, the other services played by hand."""
    log = await LocalLog.open(database)
    try:
        stage = Stage(campaigns, log)
        await stage.open()
        stage.commit(founded())
        await stage.hear()
        yield stage
    finally:
        await log.close()
