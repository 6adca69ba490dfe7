"""Membership over HTTP."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, TypeAlias, cast
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import ConfigDict, Field, StringConstraints

from services.membership import resources
from services.membership.events import Charter
from services.membership.service import Membership
from shared.http.answers import read, respond
from shared.http.app import get_service
from shared.http.callers import AnyCaller, PersonCaller, reading_person
from shared.http.consistency import ConsistencyTokens
from shared.http.idempotency import Idempotency
from shared.http.models import Currency, Identifier, Instant, PersonId, RequestModel, Zone
from shared.http.pages import Page, PageOf, decode_cursor, encode_cursor
from shared.http.problems import problems
from shared.http.routes import service_router

communities = service_router(prefix="/v1/communities", tags=["communities"])
members = service_router(prefix="/v1/communities/{community}/members", tags=["members"])

Service = Annotated[Membership, Depends(get_service)]
CommunityId = Annotated[Identifier, Path(alias="community")]
PathPerson = Annotated[PersonId, Path(alias="person")]
Count = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]
Entry: TypeAlias = Literal["open", "invitation", "approval", "questionnaire", "target_tags", "min_level", "paid"]
StatedInstant = Annotated[
    Instant | None,
    Field(description="Only for scope `import`: when it was; at most five minutes ahead of the server's clock."),
]
Place: TypeAlias = tuple[Annotated[datetime, msgspec.Meta(tz=True)], str]


class NewCommunity(RequestModel):
    """What a founder lays down."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Early risers",
                    "affinity": "We run before work.",
                    "zone": "Asia/Shanghai",
                    "currency": "CNY",
                    "capacity": 200,
                }
            ]
        }
    )

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
    affinity: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=280)] = Field(
        description="What the members have in common. No affinity, no community."
    )
    purpose: Literal["acquisition", "conversion"] = "acquisition"
    kind: Literal["general", "members", "course", "flash", "flash_sale"] = Field(
        "general", description="The flash kinds, which must close at a given time, are not offered yet."
    )
    tags: list[Tag] = Field([], max_length=20, description="Whom the community is for.")
    zone: Zone = Field(description="IANA time zone in which the community's days are counted.")
    currency: Currency = Field(description="ISO 4217 code of all its amounts.")
    capacity: Count | None = Field(None, description="Active members at most, the owner among them; null: no limit.")
    entry: list[Entry] = Field(["open"], min_length=1, max_length=7, description='Only ["open"] is offered yet.')
    launch_base: Count = Field(1, description="Members needed for the launch, the owner among them.")
    probation_days: Annotated[int, Field(strict=True, ge=0, le=365)] = Field(
        7, description="Who leaves within so many days of joining leaves within probation."
    )
    occurred_at: StatedInstant = None

    def charter(self) -> Charter:
        return msgspec.convert(self.model_dump(exclude={"occurred_at"}), Charter)


class NewMember(RequestModel):
    """How somebody joins."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"occurred_at": "2010-07-28T19:04:21Z"}]})

    occurred_at: StatedInstant = None


@communities.post(
    "",
    operation_id="foundCommunity",
    summary="Found a community",
    status_code=201,
    response_model=resources.Community,
    responses=problems(401, 403, 503),
)
async def found_community(
    service: Service, caller: PersonCaller, key: Idempotency, _: ConsistencyTokens, body: NewCommunity
) -> Response:
    """Any person of an organization may found one, or, with the header `Acting-Person`, the person an import acts for.
    It starts as a draft, with the default rulebook; the founder is its owner and first member."""
    done = await service.found(
        body.charter(),
        organization=caller.organization,
        person=caller.person,
        occurred_at=body.occurred_at,
        importing=caller.importing,
        key=key,
    )
    return respond(done)


@communities.get(
    "",
    operation_id="listCommunities",
    summary="List the organization's communities",
    response_model=PageOf[resources.Community],
    responses=problems(400, 401),
)
async def list_communities(
    service: Service, caller: AnyCaller, page: Page, _: ConsistencyTokens, request: Request
) -> Response:
    """Newest first, drafts among them."""
    before = decode_cursor(page.after, UUID) if page.after is not None else None
    rows = await service.communities(organization=caller.organization, before=before, limit=page.limit + 1)
    shown = rows[: page.limit]
    cursor = encode_cursor(shown[-1].community) if len(rows) > page.limit else None
    items = [resources.Community.of_row(row) for row in shown]
    return read(request, PageOf[resources.Community](items=items, next=page.next(cursor)))


@communities.get(
    "/{community}",
    operation_id="getCommunity",
    summary="Read a community",
    response_model=resources.Community,
    responses=problems(401, 404),
)
async def get_community(
    service: Service, caller: AnyCaller, community: CommunityId, _: ConsistencyTokens, request: Request
) -> Response:
    """Anybody of the organization may read it, before joining as well."""
    row = await service.community(community, organization=caller.organization)
    return read(request, resources.Community.of_row(row), version=row.version)


@communities.get(
    "/{community}/rulebook",
    operation_id="getRulebook",
    summary="Read a community's rulebook",
    response_model=resources.Rulebook,
    responses=problems(401, 404),
)
async def get_rulebook(
    service: Service, caller: AnyCaller, community: CommunityId, _: ConsistencyTokens, request: Request
) -> Response:
    """What a member accepts by joining."""
    row = await service.community(community, organization=caller.organization)
    return read(request, resources.Rulebook.of_name(row.rulebook))


@communities.post(
    "/{community}/launch",
    operation_id="launchCommunity",
    summary="Launch a draft",
    response_model=resources.Community,
    responses=problems(401, 403, 404, 409, 503),
)
async def launch_community(
    service: Service, caller: PersonCaller, key: Idempotency, _: ConsistencyTokens, community: CommunityId
) -> Response:
    """By its owner, once it has as many members as its launch base. Launching a launched community changes nothing."""
    done = await service.launch(community, organization=caller.organization, person=caller.person, key=key)
    return respond(done)


@members.post(
    "",
    operation_id="joinCommunity",
    summary="Join a community, or return to it",
    status_code=201,
    response_model=resources.Member,
    responses={
        200: {"model": resources.Member, "description": "An active member already; nothing changes."},
        **problems(401, 403, 404, 409, 503),
    },
)
async def join_community(
    service: Service,
    caller: PersonCaller,
    key: Idempotency,
    _: ConsistencyTokens,
    community: CommunityId,
    body: NewMember | None = None,
) -> Response:
    """The caller joins, or, with the header `Acting-Person`, the person an import acts for."""
    done = await service.join(
        community,
        organization=caller.organization,
        person=caller.person,
        occurred_at=body.occurred_at if body is not None else None,
        importing=caller.importing,
        key=key,
    )
    return respond(done)


@members.get(
    "",
    operation_id="listMembers",
    summary="List the active members",
    response_model=PageOf[resources.Member],
    responses=problems(400, 401, 403, 404),
)
async def list_members(
    service: Service, caller: AnyCaller, community: CommunityId, page: Page, _: ConsistencyTokens, request: Request
) -> Response:
    """By the time they joined. For active members, and for machines with scope `import`."""
    after = decode_cursor(page.after, cast("type[Place]", Place)) if page.after is not None else None
    rows = await service.members(
        community,
        organization=caller.organization,
        reading=reading_person(caller),
        after=after,
        limit=page.limit + 1,
    )
    shown = rows[: page.limit]
    cursor = encode_cursor((shown[-1].joined_at, shown[-1].person)) if len(rows) > page.limit else None
    items = [resources.Member.of_row(row) for row in shown]
    return read(request, PageOf[resources.Member](items=items, next=page.next(cursor)))


@members.get(
    "/{person:path}",
    operation_id="getMember",
    summary="Read one membership",
    response_model=resources.Member,
    responses=problems(401, 403, 404),
)
async def get_member(
    service: Service,
    caller: AnyCaller,
    community: CommunityId,
    person: PathPerson,
    _: ConsistencyTokens,
    request: Request,
) -> Response:
    """The own one, also after leaving; others' for active members and for machines with scope `import`."""
    row = await service.member(community, person, organization=caller.organization, reading=reading_person(caller))
    return read(request, resources.Member.of_row(row), version=row.version)


@members.post(
    "/me/leave",
    operation_id="leaveCommunity",
    summary="Leave a community",
    response_model=resources.Member,
    responses=problems(401, 403, 404, 409, 503),
)
async def leave_community(
    service: Service, caller: PersonCaller, key: Idempotency, _: ConsistencyTokens, community: CommunityId
) -> Response:
    """The place is free again at once. Leaving twice changes nothing; the owner cannot leave."""
    done = await service.leave(community, organization=caller.organization, person=caller.person, key=key)
    return respond(done)


ROUTERS: Sequence[APIRouter] = (communities, members)
