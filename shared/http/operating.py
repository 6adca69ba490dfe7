"""What every service answers to those who run it: parked keys, their replay, and the requests behind facts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field

from shared.database import Pool
from shared.errors import NotFound
from shared.facts import StoredFact, stored_fact
from shared.http.answers import read
from shared.http.callers import OPERATE, Caller, require_scope
from shared.http.models import AnswerModel, Identifier, Instant
from shared.http.pages import Int64, Page, PageOf, decode_cursor
from shared.http.parameters import Documented, documents
from shared.http.problems import problems
from shared.http.routes import service_router
from shared.messaging import deadletters
from shared.messaging.facts import Projection

REPLAY_SECONDS = 2.0
"""No page of a replay is begun later: a request has its time, and what it did stays done."""


@dataclass(frozen=True)
class Operator:
    """What an operator works with.

    Attributes:
        projection: what the service folds of the log; None if it listens to nothing.
    """

    pool: Pool
    projection: Projection | None


@documents(Documented())
async def operator_of(request: Request) -> Operator:
    """The operator's tools of the service that is asked."""
    found: Operator = request.scope["app"].state.operator
    return found


Tools = Annotated[Operator, Depends(operator_of)]
OperatingCaller = Annotated[Caller, require_scope(OPERATE)]
Lane = Annotated[int, Path(ge=0, le=1023, description="As listed.")]
Key = Annotated[str, Path(min_length=1, max_length=255, description="As listed.")]

parked = service_router(prefix="/v1/parked-keys", tags=["operation"])
facts = service_router(prefix="/v1/facts", tags=["operation"])


class ParkedKey(AnswerModel):
    """A key whose facts wait for an operator, in order."""

    consumer: str
    lane: int
    key: str = Field(description="The person, community or other thing that the facts are about.")
    since: Instant
    reason: str = Field(description="Why the first of them could not be applied.")
    type: str = Field(description="Of the first one.", examples=["content.post-published.v1"])
    event_id: str = Field(description="Of the first one.")
    position: str = Field(description="Of the first one, in its topic.")
    waiting: int = Field(description="How many facts wait behind the first one.")

    @classmethod
    def of(cls, found: deadletters.ParkedKey) -> Self:
        return cls(
            consumer=found.consumer,
            lane=found.lane,
            key=found.key,
            since=found.parked_at,
            reason=found.reason,
            type=found.type,
            event_id=found.event_id,
            position=str(found.position),
            waiting=found.facts - 1,
        )


class Replay(AnswerModel):
    """What a replay did. With facts left and no reason, there was no time for them: ask again."""

    applied: int = Field(description="Facts applied, and taken out of the queue.")
    left: int = Field(description="Facts that still wait.")
    reason: str | None = Field(description="Why the first of those could not be applied.")


@parked.get(
    "",
    operation_id="listParkedKeys",
    summary="List the keys whose facts could not be applied",
    response_model=PageOf[ParkedKey],
    responses=problems(400, 401, 403),
)
async def list_parked_keys(tools: Tools, _: OperatingCaller, page: Page, request: Request) -> Response:
    """Oldest first, of all organizations. With scope `operate`."""
    after = decode_cursor(page.after, Int64) if page.after is not None else 0
    found = await deadletters.parked_keys(tools.pool, after=after, limit=page.limit + 1)
    shown, following = page.cut(found, lambda one: one.letter)
    items = [ParkedKey.of(one) for one in shown]
    return read(request, PageOf[ParkedKey](items=items, next=following))


@parked.post(
    "/{lane}/{key:path}/replay",
    operation_id="replayParkedKey",
    summary="Apply the facts of a parked key, after a fix",
    response_model=Replay,
    responses=problems(401, 403, 404),
)
async def replay_parked_key(tools: Tools, _: OperatingCaller, lane: Lane, key: Key, request: Request) -> Response:
    """In order, up to the first that fails again. Needs no `Idempotency-Key`: asked again it goes on where it was, and
    applies nothing twice. With scope `operate`."""
    assert tools.projection is not None
    done = await deadletters.replay(tools.pool, tools.projection, lane=lane, key=key, seconds=REPLAY_SECONDS)
    return read(request, Replay(applied=done.applied, left=done.left, reason=done.reason))


class CausingRequest(AnswerModel):
    """The request that a fact was recorded by."""

    id: str = Field(description="As answered in `X-Request-Id`, and as in the logs.")
    route: str = Field(description="Method and path.", examples=["POST /v1/purchases"])
    caller: str | None = Field(
        description="`organization/subject` of the token, and `/person` that an import acted for; null without a token."
    )
    key: str | None = Field(description="Its `Idempotency-Key`; null where there is none.")


class Fact(AnswerModel):
    """Where a fact comes from. What it says is not shown."""

    event_id: Identifier
    type: str = Field(description="As stored; without the service's name.", examples=["post-published.v1"])
    stream: str
    version: int = Field(description="Its number in the stream.")
    occurred_at: Instant
    recorded_at: Instant
    partition: int | None = Field(description="Of the service's topic; null if it was not published.")
    position: str
    request: CausingRequest | None = Field(
        description="Null where `follows` is set, and for facts from before causes were stored."
    )
    follows: Identifier | None = Field(
        description="Recorded in the background, after this fact: ask for that one at the service that has it."
    )

    @classmethod
    def of(cls, found: StoredFact) -> Self:
        cause = found.request
        request = None
        if cause is not None:
            request = CausingRequest(id=cause.request, route=cause.route, caller=cause.caller, key=cause.key)
        shown = found._asdict() | {"position": str(found.position), "request": request}
        return cls.model_validate(shown)


@facts.get(
    "/{event_id}",
    operation_id="readFact",
    summary="Read where a fact comes from",
    response_model=Fact,
    responses=problems(401, 403, 404),
)
async def read_fact(tools: Tools, _: OperatingCaller, event_id: Identifier, request: Request) -> Response:
    """Of this service: the request that recorded it, or the fact after which it was. With scope `operate`."""
    found = await stored_fact(tools.pool, event_id)
    if found is None:
        raise NotFound("fact-not-found", "This service has no such fact.")
    return read(request, Fact.of(found))


def routers(*, listens: bool) -> Sequence[APIRouter]:
    """For the operator of a service that listens to the log, or of one that does not."""
    return (parked, facts) if listens else (facts,)
