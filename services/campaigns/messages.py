"""The published language of campaigns: what other services and systems read on `campaigns.events`.

JSON Schemas and samples stand in `contracts/`. Once released, a message only ever gains optional fields. Everything
about a purchase has its buyer as key, so that it stands in one partition, in order.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from shared.messaging.vocabulary import (
    ActLocalDay,
    ActOccurredAt,
    Code,
    CommunityId,
    Currency,
    Id,
    LocalDay,
    MinorUnits,
    OccurredAt,
    Organization,
    Person,
    RecordedAt,
    Zone,
)

OrderId: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=64, description="The shop's own id, unique per organization.")
]
Buyer: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, description="Person id; need not be a member.")]
Commissionable: TypeAlias = Annotated[int, Meta(ge=0, description="Minor units that commission is computed from.")]


class Line(Struct, frozen=True, kw_only=True):
    """One line of a purchase."""

    product: Annotated[str, Meta(min_length=1, max_length=64)]
    quantity: Annotated[int, Meta(ge=1)]
    amount_minor: MinorUnits


class PurchaseRecorded(Struct, frozen=True, kw_only=True):
    """A shop recorded a purchase. Key: the buyer."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    purchase: Id
    order_id: OrderId
    buyer: Buyer
    lines: list[Line]
    paid_minor: MinorUnits
    commissionable_minor: Commissionable
    share_code: Code | None
    campaign: Annotated[str, Meta(min_length=1, max_length=64)] | None
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class Link(Struct, frozen=True, kw_only=True):
    """One level of a referral chain. Levels that nobody holds are left out; nobody moves up."""

    level: Annotated[int, Meta(ge=1, le=2)]
    person: Person
    by: Annotated[Literal["share_code", "binding"], Meta(description="How the person came to stand here.")]


class PurchaseAttributed(Struct, frozen=True, kw_only=True):
    """The referral chain of a purchase was fixed, once and for good. Key: the buyer."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    purchase: Id
    order_id: OrderId
    buyer: Buyer
    chain: list[Link]
    paid_minor: MinorUnits
    commissionable_minor: Commissionable
    act_occurred_at: ActOccurredAt
    act_local_day: ActLocalDay
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class PurchaseRefunded(Struct, frozen=True, kw_only=True):
    """Part of a purchase, or all of it, was paid back. Key: the buyer. It may come before the attribution."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    purchase: Id
    order_id: OrderId
    buyer: Buyer
    refund: Id
    refund_id: Annotated[str, Meta(min_length=1, max_length=64, description="The shop's own id, unique per purchase.")]
    amount_minor: Annotated[int, Meta(ge=1, description="Minor units paid back by this refund.")]
    refunded_minor: Annotated[int, Meta(ge=1, description="Minor units paid back so far, this refund included.")]
    paid_minor: MinorUnits
    commissionable_minor: Commissionable
    act_occurred_at: ActOccurredAt
    act_local_day: ActLocalDay
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


TYPES: dict[str, type[Struct]] = {
    "campaigns.purchase-recorded.v1": PurchaseRecorded,
    "campaigns.purchase-attributed.v1": PurchaseAttributed,
    "campaigns.purchase-refunded.v1": PurchaseRefunded,
}
"""CloudEvents type to the shape of its value."""
