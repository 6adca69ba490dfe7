"""What the API shows of purchases and refunds: the same shape in a command's answer and in a read."""

from typing import Literal, Self

from pydantic import ConfigDict, Field

from services.campaigns import purchase
from services.campaigns.chain import Refused
from services.campaigns.events import PurchaseRefunded
from services.campaigns.readmodels import PurchaseRow, RefundRow
from shared.http.models import AnswerModel, Identifier, Instant, PersonId


class Line(AnswerModel):
    """One line of an order."""

    product: str
    quantity: int
    amount_minor: int


class Link(AnswerModel):
    """One level of the chain. A level that nobody holds is left out."""

    level: int
    person: PersonId
    by: Literal["share_code", "binding"] = Field(description="How the person came to stand here.")


class Purchase(AnswerModel):
    """A purchase. Its ETag is its version; attribution and refunds raise it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0193a5b1-0c11-7d0e-8a55-5a0b6a3a9c01",
                    "community": "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10",
                    "order_id": "2026-000123",
                    "buyer": "cy",
                    "lines": [{"product": "shoes-42", "quantity": 1, "amount_minor": 59900}],
                    "paid_minor": 59900,
                    "commissionable_minor": 50000,
                    "currency": "CNY",
                    "share_code": "5R8T2W4Z",
                    "campaign": "spring",
                    "occurred_at": "2026-03-01T17:30:00.123456Z",
                    "refunded_minor": 19900,
                    "net_commissionable_minor": 33388,
                    "attribution": "attributed",
                    "chain": [
                        {"level": 1, "person": "bo", "by": "share_code"},
                        {"level": 2, "person": "ana", "by": "binding"},
                    ],
                    "version": 3,
                }
            ]
        }
    )

    id: Identifier
    community: Identifier
    order_id: str
    buyer: PersonId
    lines: list[Line]
    paid_minor: int
    commissionable_minor: int
    currency: str
    share_code: str | None
    campaign: str | None
    occurred_at: Instant
    refunded_minor: int = Field(description="Paid back so far.")
    net_commissionable_minor: int = Field(
        description="What is left to compute commission from: commissionable × (paid − refunded) / paid, rounded down."
    )
    attribution: Literal["pending", "attributed"] = Field(description="Whether the chain is fixed.")
    chain: list[Link] = Field(description="Who is credited; empty while pending, and where nobody is.")
    version: int = Field(description="As in the ETag.")

    @classmethod
    def of(cls, state: purchase.Recorded, version: int) -> Self:
        """As decided."""
        recorded, order, attributed = state.recorded, state.recorded.order, state.attributed
        return cls(
            id=recorded.purchase,
            community=recorded.community,
            order_id=order.order_id,
            buyer=order.buyer,
            lines=[
                Line(product=line.product, quantity=line.quantity, amount_minor=line.amount_minor)
                for line in order.lines
            ],
            paid_minor=order.paid_minor,
            commissionable_minor=order.commissionable_minor,
            currency=order.currency,
            share_code=order.share_code,
            campaign=order.campaign,
            occurred_at=recorded.occurred_at,
            refunded_minor=state.refunded_minor,
            net_commissionable_minor=purchase.net_commissionable(
                commissionable_minor=order.commissionable_minor,
                paid_minor=order.paid_minor,
                refunded_minor=state.refunded_minor,
            ),
            attribution="pending" if attributed is None else "attributed",
            chain=[Link(level=link.level, person=link.person, by=link.by) for link in attributed.chain]
            if attributed is not None
            else [],
            version=version,
        )

    @classmethod
    def of_row(cls, row: PurchaseRow) -> Self:
        """As read."""
        return cls(
            id=str(row.purchase),
            community=str(row.community),
            net_commissionable_minor=purchase.net_commissionable(
                commissionable_minor=row.commissionable_minor,
                paid_minor=row.paid_minor,
                refunded_minor=row.refunded_minor,
            ),
            attribution="pending" if row.chain is None else "attributed",
            chain=[Link.model_validate(link) for link in row.chain or ()],
            lines=[Line.model_validate(line) for line in row.lines],
            **row.model_dump(exclude={"purchase", "community", "organization", "chain", "lines"}),
        )


class Attribution(AnswerModel):
    """Whom a purchase is credited to, and why not to whom shared its code."""

    purchase: Identifier
    attribution: Literal["pending", "attributed"] = Field(description="Whether the chain is fixed.")
    share_code: str | None
    code: Literal["counts"] | Refused | None = Field(
        description="Whether the code counts, or why it does not: nobody in the organization shared under it "
        "(`unknown`), it is the buyer's `own`, it was more than 30 days old (`too_old`), or it was `shared_later` than "
        "the purchase. Null while pending, and without a code."
    )
    chain: list[Link] = Field(description="Who is credited, by the code or by a referral (`binding`).")

    @classmethod
    def of_row(cls, row: PurchaseRow, refused: Refused | None) -> Self:
        chain = [Link.model_validate(link) for link in row.chain or ()]
        code: Literal["counts"] | Refused | None = None
        if row.chain is not None and row.share_code is not None:
            # What was not known when the chain was fixed did not count, whatever was heard since.
            code = "counts" if any(link.by == "share_code" for link in chain) else refused or "unknown"
        return cls(
            purchase=str(row.purchase),
            attribution="pending" if row.chain is None else "attributed",
            share_code=row.share_code,
            code=code,
            chain=chain,
        )


class Refund(AnswerModel):
    """A refund: part of a purchase, or all of it, paid back."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0193a5b1-0c11-7d0e-8a55-5a0b6a3a9c02",
                    "purchase": "0193a5b1-0c11-7d0e-8a55-5a0b6a3a9c01",
                    "refund_id": "2026-000123-a",
                    "amount_minor": 19900,
                    "refunded_minor": 19900,
                    "currency": "CNY",
                    "occurred_at": "2026-03-03T09:00:00.123456Z",
                }
            ]
        }
    )

    id: Identifier
    purchase: Identifier
    refund_id: str
    amount_minor: int
    refunded_minor: int = Field(description="Paid back of the purchase so far, this refund included.")
    currency: str
    occurred_at: Instant

    @classmethod
    def of(cls, refund: PurchaseRefunded) -> Self:
        """As decided."""
        return cls(
            id=refund.refund,
            purchase=refund.purchase,
            refund_id=refund.refund_id,
            amount_minor=refund.amount_minor,
            refunded_minor=refund.refunded_minor,
            currency=refund.currency,
            occurred_at=refund.occurred_at,
        )

    @classmethod
    def of_row(cls, row: RefundRow) -> Self:
        """As read."""
        return cls(id=str(row.refund), purchase=str(row.purchase), **row.model_dump(exclude={"refund", "purchase"}))
