"""Campaigns over HTTP."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from services.campaigns import events, resources
from services.campaigns.purchase import LARGEST_AMOUNT
from services.campaigns.readmodels import PurchaseRow
from services.campaigns.service import Campaigns
from shared.codes import normalize
from shared.errors import Forbidden
from shared.http.answers import read, respond
from shared.http.app import get_service
from shared.http.callers import IMPORT, AnyCaller, Caller, require_scope
from shared.http.consistency import ConsistencyTokens
from shared.http.idempotency import LastingIdempotency
from shared.http.models import Currency, Identifier, Instant, PersonId, RequestModel
from shared.http.pages import Int64, Page, PageOf, decode_cursor
from shared.http.problems import problems
from shared.http.routes import service_router

router = service_router(prefix="/v1/purchases", tags=["purchases"])

PURCHASES_WRITE = "purchases:write"
"""The scope of shop backends."""


def _code(text: str) -> str:
    code = normalize(text)
    if code is None:
        raise ValueError("must be a share code, e.g. 5R8T2W4Z")
    return code


Service = Annotated[Campaigns, Depends(get_service)]
Shop: TypeAlias = Annotated[Caller, require_scope(PURCHASES_WRITE)]
PurchaseId = Annotated[Identifier, Path(alias="purchase")]
Amount = Annotated[int, Field(strict=True, ge=0, le=LARGEST_AMOUNT, description="Minor units of the currency.")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
ShareCode = Annotated[
    str,
    StringConstraints(max_length=32),
    AfterValidator(_code),
    Field(description="Eight characters of Crockford base 32; case, hyphens and look-alike letters do not matter."),
]
StatedInstant = Annotated[
    Instant | None,
    Field(description="Only with scope `import`: when it was; at most five minutes ahead of the server's clock."),
]


class NewLine(RequestModel):
    """One line of an order."""

    product: Name
    quantity: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
    amount_minor: Amount


class NewPurchase(RequestModel):
    """What a shop says was bought. What the lines add up to is the shop's business: there are discounts and shipping."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "community": "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10",
                    "order_id": "2026-000123",
                    "buyer": "cy",
                    "lines": [{"product": "shoes-42", "quantity": 1, "amount_minor": 59900}],
                    "paid_minor": 59900,
                    "commissionable_minor": 50000,
                    "currency": "CNY",
                    "share_code": "5R8T2W4Z",
                }
            ]
        }
    )

    community: Identifier
    order_id: Name = Field(description="The shop's own id, unique in the organization.")
    buyer: PersonId = Field(description="Person id; need not be a member.")
    lines: list[NewLine] = Field([], max_length=500)
    paid_minor: Amount
    commissionable_minor: Amount | None = Field(
        None, description="What commission is computed from; at most what was paid, and all of it if left out."
    )
    currency: Currency = Field(description="The community's.")
    share_code: ShareCode | None = None
    campaign: Name | None = None
    occurred_at: StatedInstant = None

    def order(self) -> events.Order:
        return events.Order(
            order_id=self.order_id,
            buyer=self.buyer,
            lines=tuple(
                events.Line(product=line.product, quantity=line.quantity, amount_minor=line.amount_minor)
                for line in self.lines
            ),
            paid_minor=self.paid_minor,
            commissionable_minor=self.paid_minor if self.commissionable_minor is None else self.commissionable_minor,
            currency=self.currency,
            share_code=self.share_code,
            campaign=self.campaign,
        )


class NewRefund(RequestModel):
    """What a shop pays back."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"refund_id": "2026-000123-a", "amount_minor": 19900}]})

    refund_id: Name = Field(description="The shop's own id, unique in the purchase.")
    amount_minor: Annotated[int, Field(strict=True, ge=1, le=LARGEST_AMOUNT)] = Field(
        description="Minor units of the purchase's currency; at most what is left."
    )
    occurred_at: StatedInstant = None


@router.post(
    "",
    operation_id="recordPurchase",
    summary="Record a purchase",
    status_code=201,
    response_model=resources.Purchase,
    responses={
        200: {
            "model": resources.Purchase,
            "description": "This order is recorded already; the answer is that of then.",
        },
        **problems(401, 403, 404, 409, 503),
    },
)
async def record_purchase(
    service: Service, caller: Shop, key: LastingIdempotency, _: ConsistencyTokens, body: NewPurchase
) -> Response:
    """By a shop backend. Accepted at once; whom the purchase is credited to is found out in the background."""
    done = await service.record(
        body.community,
        body.order(),
        organization=caller.organization,
        occurred_at=body.occurred_at,
        importing=IMPORT in caller.scopes,
        key=key,
    )
    return respond(done)


@router.get(
    "",
    operation_id="listPurchases",
    summary="List purchases, or find one by its order",
    response_model=PageOf[resources.Purchase],
    responses=problems(400, 401, 403),
)
async def list_purchases(
    service: Service,
    caller: AnyCaller,
    page: Page,
    _: ConsistencyTokens,
    request: Request,
    order_id: Annotated[str | None, Query(min_length=1, max_length=64, description="Only this order.")] = None,
) -> Response:
    """The last recorded first. All of the organization for shop backends, the own ones for a person. The answer has a
    Consistency-Token: who sends it on sees elsewhere what follows from what the purchases show, their chains too."""
    before = decode_cursor(page.after, UUID) if page.after is not None else None
    rows = await service.purchases(
        organization=caller.organization,
        reading=_reading(caller),
        order_id=order_id,
        before=before,
        limit=page.limit + 1,
    )
    shown, following = page.cut(rows, lambda one: one.purchase)
    items = [resources.Purchase.of_row(row) for row in shown]
    answer = read(request, PageOf[resources.Purchase](items=items, next=following))
    return await _with_token(answer, service, shown)


@router.get(
    "/{purchase}",
    operation_id="getPurchase",
    summary="Read a purchase",
    response_model=resources.Purchase,
    responses=problems(401, 403, 404),
)
async def get_purchase(
    service: Service, caller: AnyCaller, purchase: PurchaseId, _: ConsistencyTokens, request: Request
) -> Response:
    """For shop backends, and for its buyer. The answer has a Consistency-Token, as that of the list."""
    row = await service.purchase(purchase, organization=caller.organization, reading=_reading(caller))
    return await _with_token(read(request, resources.Purchase.of_row(row), version=row.version), service, [row])


@router.get(
    "/{purchase}/attribution",
    operation_id="readAttribution",
    summary="Read whom a purchase is credited to, and why",
    response_model=resources.Attribution,
    responses=problems(401, 403, 404),
)
async def read_attribution(
    service: Service, caller: AnyCaller, purchase: PurchaseId, _: ConsistencyTokens, request: Request
) -> Response:
    """For shop backends, and for its buyer."""
    row, refused = await service.attribution(purchase, organization=caller.organization, reading=_reading(caller))
    return read(request, resources.Attribution.of_row(row, refused))


@router.post(
    "/{purchase}/refunds",
    operation_id="refundPurchase",
    summary="Refund a purchase, in whole or in part",
    status_code=201,
    response_model=resources.Refund,
    responses={
        200: {"model": resources.Refund, "description": "This refund is recorded already; the answer is that of then."},
        **problems(401, 403, 404, 409, 503),
    },
)
async def refund_purchase(
    service: Service,
    caller: Shop,
    key: LastingIdempotency,
    _: ConsistencyTokens,
    purchase: PurchaseId,
    body: NewRefund,
) -> Response:
    """By a shop backend, as often as something is left to pay back."""
    done = await service.refund(
        purchase,
        refund_id=body.refund_id,
        amount_minor=body.amount_minor,
        organization=caller.organization,
        occurred_at=body.occurred_at,
        importing=IMPORT in caller.scopes,
        key=key,
    )
    return respond(done)


@router.get(
    "/{purchase}/refunds",
    operation_id="listRefunds",
    summary="List the refunds of a purchase",
    response_model=PageOf[resources.Refund],
    responses=problems(400, 401, 403, 404),
)
async def list_refunds(
    service: Service, caller: AnyCaller, purchase: PurchaseId, page: Page, _: ConsistencyTokens, request: Request
) -> Response:
    """In the order they were accepted. For shop backends, and for the buyer."""
    after = decode_cursor(page.after, Int64) if page.after is not None else 0
    rows = await service.refunds(
        purchase, organization=caller.organization, reading=_reading(caller), after=after, limit=page.limit + 1
    )
    shown, following = page.cut(rows, lambda one: one.refunded_minor)
    items = [resources.Refund.of_row(row) for row in shown]
    return read(request, PageOf[resources.Refund](items=items, next=following))


async def _with_token(answer: Response, service: Campaigns, shown: Sequence[PurchaseRow]) -> Response:
    if token := await service.token(shown):
        answer.headers["consistency-token"] = token
    return answer


def _reading(caller: Caller) -> str | None:
    """The person whose purchases the caller reads, or None for a shop backend, which reads all.

    Raises:
        Forbidden: another machine.
    """
    if PURCHASES_WRITE in caller.scopes:
        return None
    if caller.person is None:
        raise Forbidden(
            "scope-missing", f"A machine needs the scope `{PURCHASES_WRITE}` for this.", scope=PURCHASES_WRITE
        )
    return caller.person


ROUTERS: Sequence[APIRouter] = (router,)
