from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from services.scoring.definition import SCORING
from shared.http.issuer import DevelopmentIssuer
from shared.http.mounting import mounted
from shared.roles import api_app
from shared.settings import Settings
from tests.scoring.desk import Desk, OpenDesk
from tests.scoring.feeder import Feeder
from tests.scoring.story import Story
from tests.support.databases import Databases
from tests.support.serving import Served, serving
from tests.support.streaming import listening


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


@pytest.fixture
def open_desk(scoring_database: str, tmp_path: Path) -> OpenDesk:
    """Opens one process more over the same database."""
    settings = Settings(mode="local", log="local", database_url=SecretStr(scoring_database))
    issuer = DevelopmentIssuer(settings, tmp_path)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Desk]:
        app = api_app(SCORING, settings, keys=issuer.keys())
        async with listening(mounted({"scoring": app})) as address:
            yield Desk(address, issuer)

    return opened


@pytest.fixture
async def desk(open_desk: OpenDesk, anyio_backend: str) -> AsyncIterator[Desk]:
    async with open_desk() as opened:
        yield opened


@pytest.fixture
async def told(feeder: Feeder) -> tuple[Story, str]:
    """A community of three: ana 20 points, bo 10, cai none."""
    story = Story()
    community = story.community()
    await feeder.apply([story.joined(person, community) for person in ("ana", "bo", "cai")])
    await feeder.apply([story.published(person, community) for person in ("ana", "ana", "bo")])
    return story, community
