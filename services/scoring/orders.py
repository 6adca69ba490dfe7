"""Fold the purchases of one lane: orders change, and out comes what each fact is worth to the buyer, and to others.

This goes before everything else of a batch: commission that follows from it is published by the transaction's first write.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import msgspec
from msgspec import UNSET

from services.scoring.commission import Cause, Order, booked
from services.scoring.events import CommissionBooked
from services.scoring.inbound import PurchaseAttributed, PurchaseFact, PurchaseRecorded, PurchaseRefunded
from services.scoring.meeting import Met
from services.scoring.ruleset import Act, Rulesets
from services.scoring.scorecard import Community
from shared.messaging.facts import InboundFact, Poison

_PURCHASES = frozenset({PurchaseRecorded, PurchaseAttributed, PurchaseRefunded})

OrderKey = tuple[str, str, str, str]
"""(organization, buyer, community, purchase)"""


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

    Attributes:
        known: those that the batch did not begin, as stored; to be filled in before its facts are folded.
        new: those that it began.
        worth: per event id.
        bookings: in the order of the facts.
    """

    def __init__(self, rulesets: Rulesets) -> None:
        self.known: dict[OrderKey, Order] = {}
        self.new: dict[OrderKey, Order] = {}
        self.worth: dict[str, Worth] = {}
        self.bookings: list[Booking] = []
        self._rulesets = rulesets

    def fold(self, met: Met, message: PurchaseFact, seq: int) -> None:
        """Fold the next fact, which gets this journal number.

        Raises:
            Poison: it does not fit to what was folded before.
        """
        match message:
            case PurchaseRecorded():
                worth = self._recorded(met, message)
            case PurchaseAttributed():
                worth = self._attributed(met.fact, message, seq)
            case PurchaseRefunded():
                worth = self._refunded(met.fact, message, seq)
        self.worth[met.fact.event_id] = worth

    def _recorded(self, met: Met, message: PurchaseRecorded) -> Worth:
        if message.commissionable > message.amount:
            raise Poison(met.fact, "more is commissionable than was paid")
        assert met.person is not None
        order = Order(
            buyer=met.person,
            community=met.community,
            purchase=message.purchase,
            order_id=message.order_id,
            currency=message.currency,
            occurred_at=message.occurred_at,
            day=message.local_day,
            ruleset=met.version(self._rulesets, message.occurred_at),
            paid=message.amount,
            commissionable=message.commissionable,
        )
        self.new[key_of(message)] = order
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
        if message.refunded not in (order.refunded, UNSET) or order.refunded > order.paid:
            raise Poison(
                fact, f"{order.refunded} of {order.paid} refunded after this, by its own account {message.refunded}"
            )
        cause = Cause(fact.event_id, message.refund, message.occurred_at, message.local_day)
        self._book(fact, order, due, cause, seq)
        return Worth(order, step=0 if order.net_paid else -1, points=_points(order) - points)

    def _book(self, fact: InboundFact, order: Order, before: Sequence[int], cause: Cause, seq: int) -> None:
        try:
            self.bookings += [Booking(entry, order.community, seq, fact) for entry in booked(order, before, cause)]
        except OverflowError:
            raise Poison(fact, "its commission would be payable after the end of all calendars") from None

    def _order(self, fact: InboundFact, message: PurchaseFact) -> Order:
        key = key_of(message)
        order = self.new.get(key) or self.known.get(key)
        if order is None:
            raise Poison(fact, f"{message.person} has no purchase {message.purchase}")
        return order


def key_of(message: PurchaseFact) -> OrderKey:
    """Which order a fact is about."""
    return message.organization, message.person, message.community, message.purchase


def purchases_of(batch: Iterable[Met], first_seq: int) -> list[tuple[Met, PurchaseFact, int]]:
    """The facts about purchases, with their journal numbers, of a batch that begins with this number."""
    return [
        (met, cast(PurchaseFact, met.message), seq)
        for seq, met in enumerate(batch, start=first_seq)
        if type(met.message) in _PURCHASES
    ]


def needed(purchases: Iterable[tuple[Met, PurchaseFact, int]]) -> set[OrderKey]:
    """The orders that these facts are about and do not begin."""
    begun: set[OrderKey] = set()
    needed: set[OrderKey] = set()
    for _, message, _ in purchases:
        (begun if isinstance(message, PurchaseRecorded) else needed).add(key_of(message))
    return needed - begun


def _points(order: Order) -> int:
    return order.ruleset.rules[Act.PURCHASE].points_of_money(order.net_paid)
