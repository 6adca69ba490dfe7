"""Content, served, with what it has heard of membership."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from services.content.definition import CONTENT
from services.content.replica import Replica
from shared.messaging.facts import InboundFact
from tests.content.heard import in_lanes, joined, of_community
from tests.support.databases import Databases
from tests.support.serving import Served, serving

Hear = Callable[..., Awaitable[None]]


@pytest.fixture
async def content(databases: Databases, anyio_backend: str, tmp_path: Path) -> AsyncIterator[Served]:
    template = await databases.template(*CONTENT.migrations)
    async with databases.fresh(template=template) as dsn, serving(CONTENT, dsn, tmp_path) as served:
        yield served


@pytest.fixture
async def second(content: Served, tmp_path: Path) -> AsyncIterator[Served]:
    """Another process of content over the same database, with memories of its own."""
    async with serving(CONTENT, content.dsn, tmp_path) as served:
        yield served


@pytest.fixture
def hear(content: Served) -> Hear:
    """Folds membership's messages into the replica, as the consumer does."""

    async def fold(*facts: InboundFact) -> None:
        async with content.kernel.writer.acquire() as connection, connection.transaction():
            await Replica().apply(connection, in_lanes(facts))

    return fold


@pytest.fixture
async def runners(content: Served, hear: Hear) -> Served:
    """Content, knowing a launched community with an owner, ana, and two members, bo and cy."""
    await hear(
        of_community("community-founded"),
        joined("ana", "owner", "member", status="draft"),
        of_community("community-launched"),
        joined("bo"),
        joined("cy"),
    )
    return content
