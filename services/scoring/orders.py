"""Fold the purchases of one lane: orders change, and out comes what each fact is worth to the buyer, and to others.

This goes before everything else of a batch: commission that follows from it is published by the transaction's first write.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from services.scoring.commission import Cause, Order, booked
from services.scoring.events import CommissionBooked
from services.scoring.inbound import PurchaseAttributed, PurchaseFact, PurchaseRecorded, PurchaseRefunded
from services.scoring.ruleset import Act, Rulesets
from services.scoring.scorecard import Community, Scorecard
from shared.messaging.facts import InboundFact, Poison

OrderKey = tuple[str, str, str]
"""(organization, buyer, purchase)"""


class Worth(msgspec.Struct, frozen=True, gc=False):
    """What a fact about a purchase is worth to its buyer.

    Attributes:
        step: 1 where the purchase comes to stand, -1 where it is refunded in full, else 0.
        points: by the money; negative for what is paid back.
    """

    order: Order
    step: int = 0
    points: int = 0


class Booking(NamedTuple):
    """An entry of commission to publish and to store.

    Attributes:
        seq: journal number of the fact that it follows from.
    """

    booked: CommissionBooked
    community: Community
    seq: int
    cause: InboundFact


class OrderBook:
    """The orders that a batch of one lane is about.

    Args:
        known: those that the batch did not begin.

    Attributes:
        new: orders that the batch began.
        worth: per event id.
        bookings: in the order of the facts.
    """

    def __init__(self, rulesets: Rulesets, known: Iterable[Order] = ()) -> None:
        self.new: dict[OrderKey, Order] = {}
        self.known = {(order.buyer.organization, order.buyer.person, order.purchase): order for order in known}
        self.worth: dict[str, Worth] = {}
        self.bookings: list[Booking] = []
        self._rulesets = rulesets

    def add(
        self, fact: InboundFact, message: PurchaseFact, community: Community, buyer: Scorecard, seq: int
    ) -> None:
        """Fold the next fact, which gets this journal number.

        Raises:
            Poison: it does not fit to what was folded before.
        """
        match message:
            case PurchaseRecorded():
                worth = self._recorded(fact, message, community, buyer)
            case PurchaseAttributed():
                worth = self._attributed(fact, message, seq)
            case PurchaseRefunded():
                worth = self._refunded(fact, message, seq)
        self.worth[fact.event_id] = worth

    def _recorded(
        self, fact: InboundFact, message: PurchaseRecorded, community: Community, buyer: Scorecard
    ) -> Worth:
        if message.commissionable > message.paid:
            raise Poison(fact, "more is commissionable than was paid")
        ruleset = self._rulesets.version_at(message.organization, message.community, message.occurred_at)
        order = Order(
            buyer=buyer,
            community=community,
            purchase=message.purchase,
            order_id=message.order_id,
            currency=message.currency,
            occurred_at=message.occurred_at,
            day=message.local_day,
            ruleset=ruleset,
            paid=message.paid,
            commissionable=message.commissionable,
        )
        self.new[_key(message)] = order
        return Worth(order, step=1 if order.paid else 0, points=_points(order))

    def _attributed(self, fact: InboundFact, message: PurchaseAttributed, seq: int) -> Worth:
        order = self._order(fact, message)
        if order.chain is not None:
            raise Poison(fact, f"purchase {order.purchase} is attributed already")
        persons = {link.level: link.person for link in message.chain}
        order.chain = [persons.get(level) for level in range(1, max(persons, default=0) + 1)]
        nothing = [0] * len(order.due)
        self._book(fact, order, nothing, Cause(fact.event_id, None, message.occurred_at, message.local_day), seq)
        return Worth(order)

    def _refunded(self, fact: InboundFact, message: PurchaseRefunded, seq: int) -> Worth:
        order = self._order(fact, message)
        due, points = order.due, _points(order)
        order.refunded += message.amount
        if order.refunded != message.refunded or order.refunded > order.paid:
            raise Poison(
                fact, f"{order.refunded} of {order.paid} refunded after this, by its own account {message.refunded}"
            )
        cause = Cause(fact.event_id, message.refund, message.occurred_at, message.local_day)
        self._book(fact, order, due, cause, seq)
        return Worth(order, step=0 if order.net_paid else -1, points=_points(order) - points)

    def _book(self, fact: InboundFact, order: Order, before: Sequence[int], cause: Cause, seq: int) -> None:
        self.bookings += [Booking(entry, order.community, seq, fact) for entry in booked(order, before, cause)]

    def _order(self, fact: InboundFact, message: PurchaseFact) -> Order:
        key = _key(message)
        order = self.new.get(key) or self.known.get(key)
        if order is None:
            raise Poison(fact, f"{message.person} has no purchase {message.purchase}")
        return order


def _key(message: PurchaseFact) -> OrderKey:
    return message.organization, message.person, message.purchase


def _points(order: Order) -> int:
    return order.ruleset.rules[Act.PURCHASE].points_of_money(order.net_paid)
