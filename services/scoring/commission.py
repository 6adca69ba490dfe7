"""What commission an order owes at each level, and the entries by which it comes to be owed. Whole numbers only."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

import msgspec
from uuid_utils import UUID, uuid5

from services.scoring.events import CommissionBooked
from services.scoring.ruleset import Ruleset
from services.scoring.scorecard import Community, Scorecard

_ENTRIES = UUID("6f0d0f1e-6d0b-4f0c-9a53-5f1f9d1f2c11")
"""The namespace of entry ids. Never to be changed: they would all be others."""

_ONE = 10_000
"""Basis points."""


class Order(msgspec.Struct, eq=False, gc=False):
    """A purchase as it stands after some of its refunds; amounts in minor units.

    Attributes:
        day: local day of the purchase.
        ruleset: in force at the purchase.
        commissionable: the part of `paid` that commission is computed from.
        chain: who stands at level 1, 2 …, None where nobody does; None as a whole: not attributed yet.
    """

    buyer: Scorecard
    community: Community
    purchase: str
    order_id: str
    currency: str
    occurred_at: datetime
    day: date
    ruleset: Ruleset
    paid: int
    commissionable: int
    refunded: int = 0
    chain: Sequence[str | None] | None = None

    @property
    def net_paid(self) -> int:
        return self.paid - self.refunded

    @property
    def net_commissionable(self) -> int:
        return self.commissionable * self.net_paid // self.paid if self.paid else 0

    @property
    def due(self) -> Sequence[int]:
        """Commission of each level that the ruleset pays, after the refunds so far."""
        return [self.net_commissionable * rate // _ONE for rate in self.ruleset.commission_basis_points]

    @property
    def payable_at(self) -> datetime:
        """When its commission is not pending any more."""
        return self.occurred_at + timedelta(days=self.ruleset.commission_hold_days)


class Cause(msgspec.Struct, frozen=True, gc=False):
    """The attribution (`refund` None) or refund that an entry follows from."""

    event_id: str
    refund: str | None
    occurred_at: datetime
    local_day: date


def entry_id(organization: str, purchase: str, refund: str | None, level: int) -> str:
    """The id of an entry: the same whenever and wherever it is computed."""
    named = msgspec.json.encode([organization, purchase, refund, level])
    return str(uuid5(_ENTRIES, named.decode()))


def booked(order: Order, before: Sequence[int], cause: Cause) -> Iterator[CommissionBooked]:
    """The entries that bring what was due before to what is due now, for all in the chain. Where nothing changes,
    there is none."""
    after, rates = order.due, order.ruleset.commission_basis_points
    for level, person in enumerate(order.chain or (), start=1):
        if person is None or level > len(rates) or after[level - 1] == before[level - 1]:
            continue
        organization = order.buyer.organization
        yield CommissionBooked(
            organization=organization,
            community=order.community.id,
            zone=order.community.zone,
            currency=order.currency,
            person=person,
            entry=entry_id(organization, order.purchase, cause.refund, level),
            purchase=order.purchase,
            order_id=order.order_id,
            refund=cause.refund,
            level=level,
            amount=after[level - 1] - before[level - 1],
            rate=rates[level - 1],
            ruleset=order.ruleset.number,
            payable_at=order.payable_at,
            cause=cause.event_id,
            occurred_at=cause.occurred_at,
            local_day=cause.local_day,
        )
