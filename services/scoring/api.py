"""Scoring over HTTP."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.scoring import resources
from services.scoring.asking import CommunityId, MetricName, PathPerson, Service, metric_of, reader_of
from services.scoring.boardresources import BoardItem, BoardPlace
from services.scoring.commissionapi import commission
from services.scoring.liveapi import live
from services.scoring.rulesetapi import rulesets
from shared.errors import Forbidden
from shared.http.answers import read
from shared.http.callers import AnyCaller, Caller, named
from shared.http.consistency import ConsistencyTokens
from shared.http.models import Identifier
from shared.http.pages import Int64, Page, PageOf, decode_cursor
from shared.http.problems import problems
from shared.http.routes import service_router

boards = service_router(prefix="/v1/communities/{community}/leaderboards", tags=["leaderboards"])
people = service_router(prefix="/v1/people", tags=["people"])
explanations = service_router(prefix="/v1", tags=["explanations"])

Day = Annotated[
    date | None,
    Query(
        description="With `activity`: the local day for which values are shown; today by default. Never changes ranks."
    ),
]


@boards.get(
    "/{metric}",
    operation_id="readLeaderboard",
    summary="Read a leaderboard",
    response_model=PageOf[BoardItem],
    responses=problems(400, 401, 403, 404),
)
async def read_leaderboard(
    service: Service,
    caller: AnyCaller,
    community: CommunityId,
    metric: MetricName,
    page: Page,
    _: ConsistencyTokens,
    request: Request,
    day: Day = None,
) -> Response:
    """Active members with a score, from the top. For active members, and with scope `scores:read`."""
    after = decode_cursor(page.after, tuple[Int64, str]) if page.after is not None else None
    found = await service.boards.page(
        reader_of(caller), community, metric_of(metric), day=day, after=after, limit=page.limit + 1
    )
    shown, following = page.cut(found, lambda one: (one.placed.key, one.placed.person))
    items = [BoardItem.of(one) for one in shown]
    return read(request, PageOf[BoardItem](items=items, next=following))


@boards.get(
    "/{metric}/me",
    operation_id="readMyRank",
    summary="Read my place on a leaderboard",
    response_model=BoardPlace,
    responses=problems(400, 401, 403, 404),
)
async def read_my_rank(
    service: Service,
    caller: AnyCaller,
    community: CommunityId,
    metric: MetricName,
    _: ConsistencyTokens,
    request: Request,
    day: Day = None,
) -> Response:
    """With up to two members above and below."""
    person = _own(caller)
    place = await service.boards.place(reader_of(caller), community, metric_of(metric), person, day=day)
    return read(request, BoardPlace.of(person, place))


@boards.get(
    "/{metric}/members/{person:path}",
    operation_id="readRank",
    summary="Read a member's place on a leaderboard",
    response_model=BoardPlace,
    responses=problems(400, 401, 403, 404),
)
async def read_rank(
    service: Service,
    caller: AnyCaller,
    community: CommunityId,
    metric: MetricName,
    person: PathPerson,
    _: ConsistencyTokens,
    request: Request,
    day: Day = None,
) -> Response:
    """With up to two members above and below. For active members, and with scope `scores:read`."""
    person = named(caller, person)
    place = await service.boards.place(reader_of(caller), community, metric_of(metric), person, day=day)
    return read(request, BoardPlace.of(person, place))


@people.get(
    "/{person:path}/points",
    operation_id="readPoints",
    summary="Read a person's points",
    response_model=resources.Points,
    responses=problems(401, 403, 404),
)
async def read_points(
    service: Service, caller: AnyCaller, person: PathPerson, _: ConsistencyTokens, request: Request
) -> Response:
    """The own ones; anybody's with scope `scores:read`."""
    person = named(caller, person)
    return read(request, resources.Points(person=person, balance=await service.balance(reader_of(caller), person)))


@people.get(
    "/{person:path}/activity",
    operation_id="readActivity",
    summary="Read a person's activity in a community",
    response_model=resources.Activity,
    responses=problems(400, 401, 403, 404),
)
async def read_activity(
    service: Service,
    caller: AnyCaller,
    person: PathPerson,
    community: Annotated[Identifier, Query(description="Of which community.")],
    page: Page,
    _: ConsistencyTokens,
    request: Request,
    day: Annotated[date | None, Query(description="Local day for which the value is shown; today by default.")] = None,
) -> Response:
    """The value, and the scored days it comes from; `limit` and `after` are about those days."""
    person = named(caller, person)
    before = decode_cursor(page.after, date) if page.after is not None else None
    found = await service.activity(reader_of(caller), person, community, day=day, before=before, days=page.limit + 1)
    days = resources.DayScore.of(found.counts)
    shown, following = page.cut(days, lambda one: one.day)
    answer = resources.Activity(
        person=person,
        community=community,
        active=found.active,
        day=found.day,
        half_life_days=found.community.half_life_days,
        value=found.value,
        days=shown,
        next=following,
    )
    return read(request, answer)


@people.get(
    "/{person:path}/entries",
    operation_id="listEntries",
    summary="List what changed a person's numbers",
    response_model=PageOf[resources.EntryItem],
    responses=problems(400, 401, 403, 404),
)
async def list_entries(
    service: Service,
    caller: AnyCaller,
    person: PathPerson,
    page: Page,
    _: ConsistencyTokens,
    request: Request,
    community: Annotated[Identifier | None, Query(description="Only of this community.")] = None,
) -> Response:
    """Newest first. The points given add up to the balance."""
    before = decode_cursor(page.after, Int64) if page.after is not None else None
    found = await service.entries(
        reader_of(caller), named(caller, person), community=community, before=before, limit=page.limit + 1
    )
    shown, following = page.cut(found, lambda one: one.entry.seq)
    items = [resources.EntryItem.of(one) for one in shown]
    return read(request, PageOf[resources.EntryItem](items=items, next=following))


@people.get(
    "/{person:path}/unrewarded",
    operation_id="listUnrewarded",
    summary="List what changed none of a person's numbers, and why",
    response_model=PageOf[resources.UnrewardedItem],
    responses=problems(400, 401, 403, 404),
)
async def list_unrewarded(
    service: Service,
    caller: AnyCaller,
    person: PathPerson,
    page: Page,
    _: ConsistencyTokens,
    request: Request,
    community: Annotated[Identifier | None, Query(description="Only of this community.")] = None,
) -> Response:
    """Newest first: joins, leaves, reactions, purchases and refunds without an entry. Acts that a version prices at
    nothing are counted in the person's activity, with the score 0."""
    before = decode_cursor(page.after, Int64) if page.after is not None else None
    found = await service.unrewarded(
        reader_of(caller), named(caller, person), community=community, before=before, limit=page.limit + 1
    )
    shown, following = page.cut(found, lambda one: one[0].seq)
    items = [resources.UnrewardedItem.of(*one) for one in shown]
    return read(request, PageOf[resources.UnrewardedItem](items=items, next=following))


@explanations.get(
    "/events/{event_id}/effects",
    operation_id="readEffects",
    summary="Read what a fact changed",
    response_model=resources.EventEffects,
    responses=problems(401, 403, 404),
)
async def read_effects(
    service: Service, caller: AnyCaller, event_id: Identifier, _: ConsistencyTokens, request: Request
) -> Response:
    """With scope `scores:read` all of it. The person whom the fact is about sees the own numbers; who earns commission
    by it, the own entries of that."""
    return read(request, resources.EventEffects.of(await service.effects(reader_of(caller), event_id)))


def _own(caller: Caller) -> str:
    if caller.person is None:
        raise Forbidden("person-required", "Only a person has a place of its own; name one below `members/`.")
    return caller.person


ROUTERS: Sequence[APIRouter] = (boards, live, commission, people, explanations, rulesets)
"""Of two paths that match, the first one counts: `…/commission/entries` before `…/entries`."""
