"""Campaigns, served, with what it has heard of membership and content."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from services.campaigns.definition import CAMPAIGNS
from services.campaigns.replica import Replica
from shared.messaging.facts import InboundFact
from tests.campaigns.heard import in_lanes
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
