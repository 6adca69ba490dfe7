"""Membership over HTTP: communities. Their members and invitations are in modules of their own."""

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from services.membership import api_invitations, api_members, resources
from services.membership.events import Charter
from services.membership.parameters import CommunityId, Count, Service, StatedInstant
from shared.http.answers import read, respond
from shared.http.callers import AnyCaller, PersonCaller
from shared.http.consistency import ConsistencyTokens
from shared.http.idempotency import Idempotency
from shared.http.models import Currency, PersonId, RequestModel, Zone
from shared.http.pages import Page, PageOf, decode_cursor
from shared.http.problems import problems
from shared.http.routes import service_router

communities = service_router(prefix="/v1/communities", tags=["communities"])

Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]
Entry: TypeAlias = Literal["open", "invitation", "approval", "questionnaire", "target_tags", "min_level", "paid"]


def _https(url: str) -> str:
    """Visible ASCII, so that it can stand in a header; a host, and nobody's password."""
    parts = urlsplit(url)
    plain = url.isascii() and url.isprintable() and not set(url) & set(' "<>\\^`{|}')
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or not plain:
        raise ValueError("must be an https address, e.g. https://acme.example/early-risers")
    _ = parts.port  # raises ValueError for what is no port
    return url


LandingUrl = Annotated[str, Field(max_length=2000), AfterValidator(_https)]


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
                    "landing_url": "https://acme.example/early-risers",
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
    entry: list[Entry] = Field(
        ["open"], min_length=1, max_length=7, description='["open"] and ["invitation"] are offered yet.'
    )
    launch_base: Count = Field(1, description="Members needed for the launch, the owner among them.")
    probation_days: Annotated[int, Field(strict=True, ge=0, le=365)] = Field(
        7, description="Who leaves within so many days of joining leaves within probation."
    )
    landing_url: LandingUrl | None = Field(
        None, description="Where short links and invitations lead: an https address, laid down for good."
    )
    occurred_at: StatedInstant = None

    def charter(self) -> Charter:
        return msgspec.convert(self.model_dump(exclude={"occurred_at"}), Charter)


class NewOwner(RequestModel):
    """To whom a community is passed on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"to": "bo"}]})

    to: PersonId


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
    shown, following = page.cut(rows, lambda one: one.community)
    items = [resources.Community.of_row(row) for row in shown]
    return read(request, PageOf[resources.Community](items=items, next=following))


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


@communities.post(
    "/{community}/ownership",
    operation_id="transferOwnership",
    summary="Pass a community on",
    response_model=resources.Community,
    responses=problems(401, 403, 404, 409, 503),
)
async def transfer_ownership(
    service: Service,
    caller: PersonCaller,
    key: Idempotency,
    _: ConsistencyTokens,
    community: CommunityId,
    body: NewOwner,
) -> Response:
    """By its owner, to an active member. There is exactly one owner at any time; the previous one becomes an admin."""
    done = await service.staff.transfer(
        community, to=body.to, organization=caller.organization, by=caller.person, key=key
    )
    return respond(done)


ROUTERS: Sequence[APIRouter] = (communities, *api_members.ROUTERS, *api_invitations.ROUTERS)
