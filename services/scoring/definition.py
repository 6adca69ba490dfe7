"""The scoring service, declared."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.scoring.boards import split_oversized
from services.scoring.events import COMMISSION, RULESETS
from services.scoring.leaderboards import Leaderboards
from services.scoring.live import Live
from services.scoring.projections import ScoringProjection
from services.scoring.publishing import publish
from services.scoring.rebuild import REBUILD
from services.scoring.rulesetcommands import project
from services.scoring.service import Scoring
from shared.database import Pool
from shared.lifecycle import Run
from shared.service import Definition, Kernel
from shared.settings import Settings

SPLIT_SECONDS = 1.0


def _routers() -> Sequence[Any]:
    from services.scoring.api import ROUTERS  # only the role `api` needs FastAPI

    return ROUTERS


def _open(kernel: Kernel) -> Scoring:
    boards = Leaderboards(kernel.reader)
    return Scoring(kernel.gateway, kernel.reader, kernel.passed, kernel.ready, boards, Live(boards))


def _projection(settings: Settings) -> ScoringProjection:
    return ScoringProjection(partitions=settings.partitions)


def _splitting(pool: Pool) -> Run:
    async def run(stop: asyncio.Event) -> None:
        while not stop.is_set():
            await split_oversized(pool)
            try:
                await asyncio.wait_for(stop.wait(), SPLIT_SECONDS)
            except TimeoutError:
                continue

    return run


SCORING = Definition(
    name="scoring",
    title="Qunli scoring",
    description="Activity, points and leaderboards, and why each number is what it is.",
    folder=Path(__file__).parent,
    open=_open,
    routers=_routers,
    publish=publish,
    project=project,
    codecs=(COMMISSION, RULESETS),
    projection=_projection,
    upkeep={"bucket splitter": _splitting},
    commands={"rebuild": REBUILD},
)
