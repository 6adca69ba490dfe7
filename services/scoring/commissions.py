"""What the API shows of commission."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import Field

from services.scoring.commissionreads import CommissionEntry, CommissionOf
from services.scoring.inbound import TYPE_OF_KIND, Kind
from shared.http.models import AnswerModel, Identifier, Instant, PersonId

CurrencyCode = Annotated[str, Field(description="ISO 4217 code.", examples=["CNY"])]


class Earned(AnswerModel):
    """Commission in minor units: pending until the holding time of each purchase is over, then payable."""

    currency: CurrencyCode
    pending_minor: int
    payable_minor: int
    total_minor: int = Field(description="Both together.")


class EarnedIn(Earned):
    """Commission in one community."""

    community: Identifier


class Commission(AnswerModel):
    """A person's commission in the organization."""

    person: PersonId
    totals: list[Earned] = Field(description="Per currency.")
    communities: list[EarnedIn] = Field(description="Per community in which any was ever booked.")

    @classmethod
    def of(cls, person: str, found: Sequence[CommissionOf]) -> Self:
        totals: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        communities = []
        for community, currency, total, pending in found:
            totals[currency][0] += total
            totals[currency][1] += pending
            communities.append(EarnedIn(community=str(community), **_earned(currency, total, pending)))
        earned = [Earned(**_earned(currency, *sums)) for currency, sums in sorted(totals.items())]
        return cls(person=person, totals=earned, communities=communities)


class CommissionItem(AnswerModel):
    """An entry in somebody's commission, and the fact that it follows from."""

    entry: Identifier
    person: PersonId = Field(description="Who earns it.")
    community: Identifier
    purchase: Identifier
    order_id: str = Field(description="The shop's own id of the purchase.", examples=["A-1001"])
    refund: Identifier | None = Field(description="What takes it back; null for what the attribution brought.")
    level: int = Field(description="1: brought the buyer here; 2: brought that one.")
    amount_minor: int = Field(description="Minor units; negative where it takes back.")
    currency: CurrencyCode
    rate_basis_points: int = Field(description="Of this level, by the ruleset.")
    ruleset: int = Field(description="Number of the ruleset version in force at the purchase.")
    payable_at: Instant = Field(description="Pending until then.")
    event_id: Identifier = Field(description="The fact that it follows from.")
    type: str = Field(description="Type of that fact.", examples=["campaigns.purchase-attributed.v1"])
    occurred_at: Instant = Field(description="Of that fact.")

    @classmethod
    def of(cls, found: CommissionEntry) -> Self:
        return cls(
            entry=str(found.entry),
            person=found.person,
            community=str(found.community),
            purchase=str(found.purchase),
            order_id=found.order_id,
            refund=None if found.refund is None else str(found.refund),
            level=found.level,
            amount_minor=found.amount,
            currency=found.currency,
            rate_basis_points=found.rate,
            ruleset=found.ruleset,
            payable_at=found.payable_at,
            event_id=str(found.event_id),
            type=TYPE_OF_KIND[Kind(found.kind)],
            occurred_at=found.occurred_at,
        )


def _earned(currency: str, total: int, pending: int) -> dict[str, Any]:
    return {
        "currency": currency,
        "pending_minor": pending,
        "payable_minor": total - pending,
        "total_minor": total,
    }
