"""Shares over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Request, Response
from pydantic import ConfigDict, Field, StringConstraints

from services.content import resources, share
from services.content.api.fields import CommunityId, Service, StatedInstant
from services.content.api.site import site_of
from services.content.messages import ShareTarget
from shared.codes import normalize
from shared.errors import Invalid
from shared.http.answers import read, respond
from shared.http.callers import AnyCaller, PersonCaller, reading_person
from shared.http.consistency import ConsistencyTokens
from shared.http.idempotency import Idempotency
from shared.http.models import RequestModel
from shared.http.pages import Page, PageOf, decode_cursor
from shared.http.problems import problems
from shared.http.qr import PNG, SVG, qr_answer, qr_responses
from shared.http.routes import service_router

router = service_router(prefix="/v1", tags=["shares"])

Code = Annotated[str, Path(alias="code", max_length=32, examples=["5R8T2W4Z"])]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class NewShare(RequestModel):
    """What a member shares, and where."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "target_kind": "post",
                    "target": "0193a5b1-0c11-7d0e-8a55-5a0b6a3a9c01",
                    "channel": "wechat-moments",
                }
            ]
        }
    )

    target_kind: ShareTarget
    target: Text = Field(
        max_length=64,
        description="Its id. A post must stand in this community, a community must be this one; ids of products and "
        "campaigns are taken as given.",
    )
    channel: Text = Field(max_length=40, description="Where it is shared to, in words of the caller's.")
    parent: str | None = Field(
        None,
        max_length=32,
        description="Code of the share through which the sharer came; null: of the last visit that counts, if that was "
        "at most 30 days ago.",
    )
    occurred_at: StatedInstant = None

    def wanted(self) -> share.Wanted:
        """Raises Invalid `parent-not-found`: that is no code at all."""
        parent = normalize(self.parent) if self.parent is not None else None
        if parent is None and self.parent is not None:
            raise Invalid("parent-not-found", "There is no share with this code.")
        return share.Wanted(
            target_kind=self.target_kind,
            target=self.target,
            channel=self.channel,
            parent=parent,
            occurred_at=self.occurred_at,
        )


@router.post(
    "/communities/{community}/shares",
    operation_id="shareContent",
    summary="Share something, and get a code and a short link for it",
    status_code=201,
    response_model=resources.Share,
    responses=problems(401, 403, 404, 409, 503),
)
async def share_content(
    service: Service,
    caller: PersonCaller,
    key: Idempotency,
    _: ConsistencyTokens,
    community: CommunityId,
    body: NewShare,
    request: Request,
) -> Response:
    """By an active member of a launched community, or, with `Acting-Person`, for the person an import acts for."""
    done = await service.shares.add(community, body.wanted(), by=caller, site=site_of(request), key=key)
    return respond(done)


@router.get(
    "/shares/{code}",
    operation_id="getShare",
    summary="Read a share",
    response_model=resources.Share,
    responses=problems(401, 403, 404),
)
async def get_share(
    service: Service, caller: AnyCaller, code: Code, _: ConsistencyTokens, request: Request
) -> Response:
    """For active members of its community, and for machines with scope `import`."""
    row, counts = await service.shares.read(
        _known(code), organization=caller.organization, reading=reading_person(caller)
    )
    return read(request, resources.Share.of_row(row, counts, site=site_of(request)))


@router.get(
    "/shares/{code}/children",
    operation_id="listChildShares",
    summary="List the shares that hang below a share",
    response_model=PageOf[resources.Share],
    responses=problems(400, 401, 403, 404),
)
async def list_child_shares(
    service: Service, caller: AnyCaller, code: Code, page: Page, _: ConsistencyTokens, request: Request
) -> Response:
    """Those directly below it, in the order they were made: of people who came through it. For active members of its
    community, and for machines with scope `import`."""
    rows, counts = await service.shares.children(
        _known(code),
        organization=caller.organization,
        reading=reading_person(caller),
        after=decode_cursor(page.after, UUID) if page.after is not None else None,
        limit=page.limit + 1,
    )
    site = site_of(request)
    shown, following = page.cut(rows, lambda one: one.share)
    items = [resources.Share.of_row(row, counts.get(row.code, {}), site=site) for row in shown]
    return read(request, PageOf[resources.Share](items=items, next=following))


@router.get(
    "/shares/{code}/qr.svg",
    operation_id="getShareQrSvg",
    summary="The short link as a QR code, SVG",
    response_class=Response,
    responses={**qr_responses(SVG), **problems(401, 403, 404)},
)
async def get_share_qr_svg(
    service: Service, caller: AnyCaller, code: Code, _: ConsistencyTokens, request: Request
) -> Response:
    """For whoever may read the share."""
    return await _qr(service, caller, code, request, SVG)


@router.get(
    "/shares/{code}/qr.png",
    operation_id="getShareQrPng",
    summary="The short link as a QR code, PNG",
    response_class=Response,
    responses={**qr_responses(PNG), **problems(401, 403, 404)},
)
async def get_share_qr_png(
    service: Service, caller: AnyCaller, code: Code, _: ConsistencyTokens, request: Request
) -> Response:
    """For whoever may read the share."""
    return await _qr(service, caller, code, request, PNG)


async def _qr(service: Service, caller: AnyCaller, code: str, request: Request, media_type: str) -> Response:
    row, _ = await service.shares.read(_known(code), organization=caller.organization, reading=reading_person(caller))
    return qr_answer(request, resources.short_link(site_of(request), row.code), media_type)


def _known(code: str) -> str:
    """The code as it is kept. Raises NotFound `share-not-found`: that is no code at all."""
    found = normalize(code)
    if found is None:
        raise share.not_found()
    return found
