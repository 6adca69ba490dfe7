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


ScoringFact: TypeAlias = CommissionBooked | RulesetPublished

COMMISSION = Codec[CommissionBooked]((CommissionBooked,))
"""Of the streams of commission, each of one fact."""

RULESETS = Codec[RulesetPublished]((RulesetPublished,))
"""Of the streams of rulesets, one per organization, and one per community that has its own."""
