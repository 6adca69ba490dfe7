"""Rulesets over HTTP."""

from datetime import datetime
from typing import Annotated

from fastapi import Path, Query, Request, Response

from services.scoring.asking import Service, reader_of
from services.scoring.rulesetcommands import publish_ruleset
from services.scoring.rulesets import NewRuleset, RulesetVersion
from shared.http.answers import read, respond
from shared.http.callers import AnyCaller, Caller, require_scope
from shared.http.consistency import ConsistencyTokens
from shared.http.idempotency import Idempotency
from shared.http.models import Identifier, Instant
from shared.http.pages import Int64, Page, PageOf, decode_cursor
from shared.http.problems import problems
from shared.http.routes import service_router

rulesets = service_router(prefix="/v1/rulesets", tags=["rulesets"])

RULES_WRITE = "rules:write"

OfCommunity = Annotated[Identifier | None, Query(description="Of this community; by default the organization's.")]
At = Annotated[Instant | None, Query(description="An act's time; now by default.")]
Number = Annotated[
    int, Path(alias="ruleset", ge=1, le=2**31 - 1, description="Number of a version, as entries name it.")
]


@rulesets.post(
    "",
    operation_id="publishRuleset",
    summary="Publish a version of a ruleset",
    status_code=201,
    response_model=RulesetVersion,
    responses=problems(401, 403, 404, 409, 422, 503),
)
async def publish(
    service: Service,
    caller: Annotated[Caller, require_scope(RULES_WRITE)],
    key: Idempotency,
    _: ConsistencyTokens,
    body: NewRuleset,
) -> Response:
    """With scope `rules:write`. It prices acts from `valid_from` on, and nothing that happened before."""
    if body.community is not None:
        await service.known_community(reader_of(caller), body.community)
    done = await publish_ruleset(
        service.gateway,
        body.rules(),
        organization=caller.organization,
        community=body.community,
        valid_from=body.valid_from,
        published_by=caller.subject,
        key=key,
    )
    return respond(done)


@rulesets.get(
    "",
    operation_id="listRulesets",
    summary="List the versions of a ruleset",
    response_model=PageOf[RulesetVersion],
    responses=problems(400, 401, 404),
)
async def list_versions(
    service: Service,
    caller: AnyCaller,
    page: Page,
    _: ConsistencyTokens,
    request: Request,
    community: OfCommunity = None,
) -> Response:
    """Newest first; without the shipped one, which was in force before the first."""
    before = decode_cursor(page.after, Int64) if page.after is not None else None
    rows = await service.rulesets(reader_of(caller), community, before=before, limit=page.limit + 1)
    shown, following = page.cut(rows, lambda one: one.version)
    items = [RulesetVersion.of_row(row) for row in shown]
    return read(request, PageOf[RulesetVersion](items=items, next=following))


@rulesets.get(
    "/default",
    operation_id="readDefaultRuleset",
    summary="Read the shipped ruleset",
    response_model=RulesetVersion,
    responses=problems(401),
)
async def read_default(service: Service, caller: AnyCaller, request: Request) -> Response:
    """What each act is worth where an organization has not published rules of its own."""
    return read(request, RulesetVersion.shipped())


@rulesets.get(
    "/in-force",
    operation_id="readRulesetInForce",
    summary="Read the ruleset in force",
    response_model=RulesetVersion,
    responses=problems(401, 404),
)
async def read_in_force(
    service: Service,
    caller: AnyCaller,
    _: ConsistencyTokens,
    request: Request,
    community: OfCommunity = None,
    at: At = None,
) -> Response:
    """What prices an act at that time: the community's own version if one is in force, else the organization's, else
    the shipped one."""
    at_instant: datetime = at or service.boards.clock()
    row = await service.ruleset_in_force(reader_of(caller), community, at=at_instant)
    return read(request, RulesetVersion.shipped() if row is None else RulesetVersion.of_row(row))


@rulesets.get(
    "/{ruleset}",
    operation_id="readRuleset",
    summary="Read a version by its number",
    response_model=RulesetVersion,
    responses=problems(401, 404),
)
async def read_version(
    service: Service, caller: AnyCaller, ruleset: Number, _: ConsistencyTokens, request: Request
) -> Response:
    """The version that an entry or a count names."""
    row = await service.ruleset(reader_of(caller), ruleset)
    return read(request, RulesetVersion.shipped() if row is None else RulesetVersion.of_row(row))
