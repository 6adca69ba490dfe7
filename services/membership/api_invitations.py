"""Membership over HTTP: invitations and their QR codes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeAlias, cast

import msgspec
from fastapi import APIRouter, Path, Request, Response
from pydantic import ConfigDict, Field

from services.membership import resources
from services.membership.parameters import CommunityId, Count, Service
from shared.codes import normalize
from shared.http.answers import read, respond
from shared.http.callers import AnyCaller, PersonCaller, reading_person
from shared.http.consistency import ConsistencyTokens
from shared.http.idempotency import Idempotency
from shared.http.models import Instant, RequestModel
from shared.http.pages import Page, PageOf, decode_cursor
from shared.http.problems import problems
from shared.http.qr import PNG, SVG, qr_answer, qr_responses
from shared.http.routes import service_router

of_community = service_router(prefix="/v1/communities/{community}/invitations", tags=["invitations"])
by_code = service_router(prefix="/v1/invitations", tags=["invitations"])

PathCode = Annotated[
    str, Path(alias="invitation", max_length=40, description="In any case; look-alike letters are read.")
]
Place: TypeAlias = tuple[Annotated[datetime, msgspec.Meta(tz=True)], str]


class NewInvitation(RequestModel):
    """How often and how long an invitation may be used."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{}, {"max_uses": 20, "expires_at": "2036-04-01T00:00:00Z"}]}
    )

    max_uses: Count | None = Field(None, description="Joins at most; null: no limit.")
    expires_at: Instant | None = Field(None, description="null: never.")


@of_community.post(
    "",
    operation_id="createInvitation",
    summary="Make an invitation",
    status_code=201,
    response_model=resources.Invitation,
    responses=problems(401, 403, 404, 409, 503),
)
async def create_invitation(
    service: Service,
    caller: PersonCaller,
    key: Idempotency,
    _: ConsistencyTokens,
    community: CommunityId,
    body: NewInvitation | None = None,
) -> Response:
    """By any active member, also of a draft. Its uses are counted exactly, however many join at once."""
    wanted = body or NewInvitation()
    done = await service.invitations.invite(
        community,
        max_uses=wanted.max_uses,
        expires_at=wanted.expires_at,
        organization=caller.organization,
        person=caller.person,
        key=key,
    )
    return respond(done)


@of_community.get(
    "",
    operation_id="listInvitations",
    summary="List invitations to a community",
    response_model=PageOf[resources.Invitation],
    responses=problems(400, 401, 403, 404),
)
async def list_invitations(
    service: Service, caller: AnyCaller, community: CommunityId, page: Page, _: ConsistencyTokens, request: Request
) -> Response:
    """Newest first. A member sees the own ones; staff, and machines with scope `import`, see all."""
    before = decode_cursor(page.after, cast("type[Place]", Place)) if page.after is not None else None
    rows = await service.invitations.of_community(
        community,
        organization=caller.organization,
        reading=reading_person(caller),
        before=before,
        limit=page.limit + 1,
    )
    now = datetime.now(UTC)
    shown, following = page.cut(rows, lambda one: (one.created_at, one.code))
    items = [resources.Invitation.of_row(row, now=now) for row in shown]
    return read(request, PageOf[resources.Invitation](items=items, next=following))


@by_code.get(
    "/{invitation}",
    operation_id="getInvitation",
    summary="Read an invitation",
    response_model=resources.Invitation,
    responses=problems(401, 404),
)
async def get_invitation(
    service: Service, caller: AnyCaller, invitation: PathCode, _: ConsistencyTokens, request: Request
) -> Response:
    """Anybody of the organization who has the code may read where it leads, whose it is, and whether it can be used."""
    row = await service.invitations.read(normalize(invitation), organization=caller.organization)
    return read(request, resources.Invitation.of_row(row, now=datetime.now(UTC)))


@by_code.get(
    "/{invitation}/qr.svg",
    operation_id="getInvitationQrSvg",
    summary="QR code of an invitation, as SVG",
    response_class=Response,
    responses={**qr_responses(SVG), **problems(401, 404)},
)
async def get_invitation_qr_svg(
    service: Service, caller: AnyCaller, invitation: PathCode, _: ConsistencyTokens, request: Request
) -> Response:
    """It says the community's landing page with `?invitation=<code>`; the bare code where there is no such page."""
    content = await service.invitations.address(normalize(invitation), organization=caller.organization)
    return qr_answer(request, content, SVG)


@by_code.get(
    "/{invitation}/qr.png",
    operation_id="getInvitationQrPng",
    summary="QR code of an invitation, as PNG",
    response_class=Response,
    responses={**qr_responses(PNG), **problems(401, 404)},
)
async def get_invitation_qr_png(
    service: Service, caller: AnyCaller, invitation: PathCode, _: ConsistencyTokens, request: Request
) -> Response:
    """It says the same as the SVG."""
    content = await service.invitations.address(normalize(invitation), organization=caller.organization)
    return qr_answer(request, content, PNG)


ROUTERS: Sequence[APIRouter] = (of_community, by_code)
