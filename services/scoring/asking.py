"""Who asks scoring over HTTP, and about whom."""

from typing import Annotated, Literal

from fastapi import Depends, Path

from services.scoring.boards import Metric
from services.scoring.reader import SCORES_READ, Reader
from services.scoring.service import Scoring
from shared.http.app import get_service
from shared.http.callers import Caller
from shared.http.models import Identifier, PersonId

Service = Annotated[Scoring, Depends(get_service)]
CommunityId = Annotated[Identifier, Path(alias="community")]
MetricName = Annotated[Literal["activity", "points", "commission"], Path(alias="metric")]
PathPerson = Annotated[PersonId, Path(alias="person", description="Person id, or `me`.")]


def reader_of(caller: Caller) -> Reader:
    return Reader(caller.organization, caller.person, SCORES_READ in caller.scopes)


def metric_of(name: str) -> Metric:
    return Metric[name.upper()]
