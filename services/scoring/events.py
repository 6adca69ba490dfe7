"""The facts that scoring stores: private to this service, and never changed once stored."""

from datetime import date, datetime
from typing import TypeAlias

from services.scoring.ruleset import Rules
from shared.codec import Codec, Fact


class CommissionBooked(Fact, frozen=True, tag="commission-booked.v1"):
    """An entry in somebody's commission.

    Attributes:
        person: who earns it.
        entry: its id, computed from what it is about (`services.scoring.commission.entry_id`).
        refund: None for what the attribution accrues.
        amount: minor units; negative where it takes back.
        rate: basis points.
        ruleset: number of the version in force at the purchase.
        cause: event id of the attribution or refund.
        occurred_at, local_day: of the cause.
    """

    organization: str
    community: str
    zone: str
    currency: str
    person: str
    entry: str
    purchase: str
    order_id: str
    refund: str | None
    level: int
    amount: int
    rate: int
    ruleset: int
    payable_at: datetime
    cause: str
    occurred_at: datetime
    local_day: date


class CommissionVoided(Fact, frozen=True, tag="commission-voided.v1"):
    """An entry in somebody's commission counts no more: a restore of its publisher's database has undone the fact that it
    followed from.

    Attributes:
        amount: what the entry had booked, in minor units.
        cause: event id of the fact that was undone.
        booked_occurred_at, booked_local_day: of the booking.
        occurred_at: when this was found.
    """

    organization: str
    community: str
    zone: str
    currency: str
    person: str
    entry: str
    purchase: str
    order_id: str
    amount: int
    cause: str
    booked_occurred_at: datetime
    booked_local_day: date
    occurred_at: datetime


class RulesetPublished(Fact, frozen=True, tag="ruleset-published.v1"):
    """A version of a ruleset.

    Attributes:
        community: None: of the whole organization.
        ruleset: the number that stands for it in this service's tables.
        version: from 1, per organization or community.
        valid_from: in force for acts from then on.
    """

    organization: str
    community: str | None
    ruleset: int
    version: int
    valid_from: datetime
    rules: Rules
    published_by: str
    occurred_at: datetime


ScoringFact: TypeAlias = CommissionBooked | CommissionVoided | RulesetPublished

COMMISSION = Codec[CommissionBooked | CommissionVoided]((CommissionBooked, CommissionVoided))
"""Of the streams of commission, one per entry: booked; perhaps voided, and booked anew."""


def stream_of(entry: str) -> str:
    """The stream of an entry in somebody's commission."""
    return f"commission-{entry}"


RULESETS = Codec[RulesetPublished]((RulesetPublished,))
"""Of the streams of rulesets, one per organization, and one per community that has its own."""
