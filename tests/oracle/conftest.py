"""Two who know the rules: the oracle, and the projection of scoring over its real tables."""

from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import pytest

from shared.messaging.facts import InboundFact
from tests.oracle.oracle import Scores, Version, score
from tests.oracle.projected import plain, projected
from tests.scoring.conftest import feeder, pool, scoring, scoring_database
from tests.scoring.story import Story

__all__ = ["feeder", "pool", "scoring", "scoring_database"]

WorkOut = Callable[..., Awaitable[Scores]]
"""All numbers that follow from facts, and versions of rulesets."""


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def town(story: Story) -> str:
    """A community."""
    return story.community()


@pytest.fixture
async def by_the_rules(anyio_backend: str) -> WorkOut:
    async def work_out(facts: Sequence[InboundFact], versions: Sequence[Version] = ()) -> Scores:
        return score([plain(fact) for fact in facts], versions).without_zeros()

    return work_out


@pytest.fixture
async def by_the_service(pool: "asyncpg.Pool[asyncpg.Record]") -> WorkOut:
    async def work_out(facts: Sequence[InboundFact], versions: Sequence[Version] = ()) -> Scores:
        async with pool.acquire() as connection:
            return (await projected(connection, facts, versions)).without_zeros()

    return work_out


@pytest.fixture(params=["by_the_rules", pytest.param("by_the_service", marks=pytest.mark.postgres)])
def work_out(request: pytest.FixtureRequest) -> WorkOut:
    """Works numbers out, in each of both ways."""
    asked: WorkOut = request.getfixturevalue(request.param)
    return asked
