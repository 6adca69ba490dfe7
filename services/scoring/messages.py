"""The published language of scoring: what other services and systems read on `scoring.events`.

JSON Schemas and samples stand in `contracts/`. Once released, a message only ever gains optional fields.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from shared.messaging.vocabulary import (
    CommunityId,
    Currency,
    Id,
    LocalDay,
    OccurredAt,
    Organization,
    Person,
    RecordedAt,
    Zone,
)


class RulesetPublished(Struct, frozen=True, kw_only=True):
    """A version of a ruleset was published. Key: the community, or the organization."""

    organization: Organization
    community: Annotated[str, Meta(description="UUID; null: of the whole organization.")] | None
    version: Annotated[int, Meta(ge=1)]
    valid_from: Annotated[datetime, Meta(tz=True, description="In force for acts from then on, UTC.")]
    published_by: Annotated[str, Meta(description="Person or machine.")]
    occurred_at: OccurredAt
    recorded_at: RecordedAt


class CommissionBooked(Struct, frozen=True, kw_only=True):
    """An entry in somebody's commission: accrued by an attribution, or taken back by a refund. Key: who earns it."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    person: Person
    entry: Annotated[str, Meta(description="UUID, the same whenever this entry is computed.")]
    purchase: Id
    order_id: Annotated[str, Meta(min_length=1, max_length=64)]
    refund: Annotated[str, Meta(description="UUID of the refund; null: by the attribution.")] | None
    level: Annotated[int, Meta(ge=1, le=2)]
    amount_minor: Annotated[int, Meta(description="Minor units; negative where it takes back.")]
    rate_basis_points: Annotated[int, Meta(ge=0, le=10_000)]
    payable_at: Annotated[datetime, Meta(tz=True, description="Pending until then, UTC.")]
    cause: Annotated[str, Meta(description="UUID of the fact that it follows from.")]
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class CommissionVoided(Struct, frozen=True, kw_only=True):
    """An entry in somebody's commission counts no more: a restored database has undone the fact that it followed from. If
    that happens again, the entry is booked again, under the same id. Key: who had earned it."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    person: Person
    entry: Annotated[str, Meta(description="UUID of the entry.")]
    purchase: Id
    order_id: Annotated[str, Meta(min_length=1, max_length=64)]
    amount_minor: Annotated[int, Meta(description="Minor units, as they were booked.")]
    cause: Annotated[str, Meta(description="UUID of the fact that was undone.")]
    booked_occurred_at: Annotated[datetime, Meta(tz=True, description="Of the booking, UTC.")]
    booked_local_day: LocalDay
    occurred_at: OccurredAt
    recorded_at: RecordedAt


TYPES: dict[str, type[Struct]] = {
    "scoring.ruleset-published.v1": RulesetPublished,
    "scoring.commission-booked.v1": CommissionBooked,
    "scoring.commission-voided.v1": CommissionVoided,
}
"""CloudEvents type to the shape of its value."""
