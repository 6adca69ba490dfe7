"""The facts that campaigns stores: private to this service, and never changed once stored."""

from datetime import date, datetime
from typing import Literal, TypeAlias

import msgspec

from shared.codec import Fact


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of an order."""

    product: str
    quantity: int
    amount_minor: int


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a shop says was bought. Amounts are minor units of `currency`.

    Attributes:
        commissionable_minor: what commission is computed from; at most `paid_minor`.
        share_code: as `shared.codes.normalize` writes it.
    """

    order_id: str
    buyer: str
    lines: tuple[Line, ...]
    paid_minor: int
    commissionable_minor: int
    currency: str
    share_code: str | None
    campaign: str | None


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who stands at one level of a chain, and why."""

    level: int
    person: str
    by: Literal["share_code", "binding"]


class PurchaseRecorded(Fact, frozen=True, tag="purchase-recorded.v1"):
    organization: str
    community: str
    zone: str
    purchase: str
    order: Order
    occurred_at: datetime
    local_day: date


class PurchaseRefunded(Fact, frozen=True, tag="purchase-refunded.v1"):
    """`refunded_minor`: paid back so far, this refund included."""

    organization: str
    community: str
    zone: str
    currency: str
    purchase: str
    order_id: str
    buyer: str
    refund: str
    refund_id: str
    amount_minor: int
    refunded_minor: int
    paid_minor: int
    commissionable_minor: int
    act_occurred_at: datetime
    act_local_day: date
    occurred_at: datetime
    local_day: date


class PurchaseAttributed(Fact, frozen=True, tag="purchase-attributed.v1"):
    """`chain`: by level; levels that nobody holds are left out."""

    organization: str
    community: str
    zone: str
    currency: str
    purchase: str
    order_id: str
    buyer: str
    chain: tuple[Link, ...]
    paid_minor: int
    commissionable_minor: int
    act_occurred_at: datetime
    act_local_day: date
    occurred_at: datetime
    local_day: date


PurchaseFact: TypeAlias = PurchaseRecorded | PurchaseRefunded | PurchaseAttributed
