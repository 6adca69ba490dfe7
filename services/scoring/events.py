"""The facts that scoring stores: private to this service, and never changed once stored."""

from datetime import date, datetime
from typing import TypeAlias

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


ScoringFact: TypeAlias = CommissionBooked

COMMISSION = Codec[ScoringFact]((CommissionBooked,))
"""Of the streams of commission, each of one fact."""
