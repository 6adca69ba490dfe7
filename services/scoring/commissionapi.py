"""A person's commission over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response

from services.scoring import commissions
from services.scoring.asking import PathPerson, Service, reader_of
from shared.http.answers import read
from shared.http.callers import AnyCaller, named
from shared.http.consistency import ConsistencyTokens
from shared.http.models import Identifier
from shared.http.pages import Int64, Page, PageOf, decode_cursor
from shared.http.problems import problems
from shared.http.routes import service_router

commission = service_router(prefix="/v1/people", tags=["commission"])


@commission.get(
    "/{person:path}/commission",
    operation_id="readCommission",
    summary="Read a person's commission",
    response_model=commissions.Commission,
    responses=problems(401, 403, 404),
)
async def read_commission(
    service: Service, caller: AnyCaller, person: PathPerson, _: ConsistencyTokens, request: Request
) -> Response:
    """Pending and payable, per currency and per community. The own one; anybody's with scope `scores:read`."""
    person = named(caller, person)
    return read(request, commissions.Commission.of(person, await service.commission(reader_of(caller), person)))


@commission.get(
    "/{person:path}/commission/entries",
    operation_id="listCommissionEntries",
    summary="List the entries of a person's commission",
    response_model=PageOf[commissions.CommissionItem],
    responses=problems(400, 401, 403, 404),
)
async def list_commission_entries(
    service: Service,
    caller: AnyCaller,
    person: PathPerson,
    page: Page,
    _: ConsistencyTokens,
    request: Request,
    community: Annotated[Identifier | None, Query(description="Only of this community.")] = None,
) -> Response:
    """Newest first. The amounts add up to the commission of each community."""
    before = decode_cursor(page.after, Int64) if page.after is not None else None
    found = await service.commission_entries(
        reader_of(caller), named(caller, person), community=community, before=before, limit=page.limit + 1
    )
    shown, following = page.cut(found, lambda one: one.entry_no)
    items = [commissions.CommissionItem.of(one) for one in shown]
    return read(request, PageOf[commissions.CommissionItem](items=items, next=following))
