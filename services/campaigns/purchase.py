"""The life of a purchase: recorded by a shop, attributed once, refunded in parts until nothing is left."""

from datetime import datetime
from typing import TypeAlias, assert_never

import msgspec

from services.campaigns.events import (
    Link,
    Order,
    PurchaseAttributed,
    PurchaseFact,
    PurchaseRecorded,
    PurchaseRefunded,
)
from shared.codec import Codec
from shared.decider import Fold
from shared.errors import Conflict, Invalid, NotFound
from shared.moments import moment

LARGEST_AMOUNT = 10**12
"""Minor units."""


class Community(msgspec.Struct, frozen=True, kw_only=True):
    """What this service knows of a community."""

    organization: str
    community: str
    zone: str
    currency: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Record an order as purchase `purchase`. `occurred_at` None: now."""

    organization: str
    purchase: str
    order: Order
    occurred_at: datetime | None
    importing: bool
    now: datetime


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """Pay back `amount_minor`, at least 1. `occurred_at` None: now."""

    refund: str
    refund_id: str
    amount_minor: int
    occurred_at: datetime | None
    importing: bool
    now: datetime


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """Fix who is credited for the purchase."""

    chain: tuple[Link, ...]
    now: datetime


class Unrecorded(msgspec.Struct, frozen=True, tag="unrecorded"):
    """There is no such purchase."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True, tag="recorded"):
    """A purchase. `refunds`: in the order they were accepted; `attributed` None: not yet."""

    recorded: PurchaseRecorded
    refunds: tuple[PurchaseRefunded, ...] = ()
    attributed: PurchaseAttributed | None = None

    @property
    def refunded_minor(self) -> int:
        return self.refunds[-1].refunded_minor if self.refunds else 0


State: TypeAlias = Unrecorded | Recorded


def record(command: Record, community: Community | None, state: State) -> list[PurchaseFact]:
    """Record an order; nothing to do if the same order is recorded already.

    A repeat is the same order if all it says is the same; it may leave out `occurred_at`. What the lines add up to is
    the shop's business: an order may have discounts and shipping.

    Raises:
        NotFound: `community-not-found`: unknown, or of another organization.
        Conflict: `order-id-used`: for another order.
        Invalid: `currency-mismatch`, `commissionable-above-paid`, `occurred-at-in-future`.
        Forbidden: `occurred-at-not-allowed`.
    """
    if community is None or community.organization != command.organization:
        raise NotFound("community-not-found", "There is no such community.")
    order = command.order
    if isinstance(state, Recorded):
        known = state.recorded
        if (known.community, known.order) != (community.community, order) or (
            command.occurred_at not in (None, known.occurred_at)
        ):
            raise Conflict(
                "order-id-used", "This order_id was used for a different order. It names one order for good."
            )
        return []
    if order.currency != community.currency:
        raise Invalid(
            "currency-mismatch",
            f"The community's currency is {community.currency}; it takes no other.",
            currency=community.currency,
        )
    if order.commissionable_minor > order.paid_minor:
        raise Invalid("commissionable-above-paid", "commissionable_minor may not be more than paid_minor.")
    occurred_at, local_day = moment(
        command.occurred_at, now=command.now, importing=command.importing, zone=community.zone
    )
    return [
        PurchaseRecorded(
            organization=community.organization,
            community=community.community,
            zone=community.zone,
            purchase=command.purchase,
            order=order,
            occurred_at=occurred_at,
            local_day=local_day,
        )
    ]


def refund(command: Refund, state: State) -> list[PurchaseFact]:
    """Pay back part of a purchase, or all of it; nothing to do if this refund is recorded already.

    Raises:
        NotFound: no such purchase.
        Conflict: `refund-id-used`: for another refund of this purchase; `refund-above-remainder`, with `left_minor`.
        Invalid: `occurred-at-in-future`.
        Forbidden: `occurred-at-not-allowed`.
    """
    purchase = known(state)
    if (earlier := refund_of(purchase, command.refund_id)) is not None:
        if command.amount_minor != earlier.amount_minor or command.occurred_at not in (None, earlier.occurred_at):
            raise Conflict("refund-id-used", "This refund_id was used for a different refund of this purchase.")
        return []
    recorded, order = purchase.recorded, purchase.recorded.order
    left_minor = order.paid_minor - purchase.refunded_minor
    if command.amount_minor > left_minor:
        raise Conflict(
            "refund-above-remainder",
            f"Of this purchase {left_minor} minor units are left to pay back.",
            left_minor=left_minor,
        )
    occurred_at, local_day = moment(
        command.occurred_at, now=command.now, importing=command.importing, zone=recorded.zone
    )
    return [
        PurchaseRefunded(
            organization=recorded.organization,
            community=recorded.community,
            zone=recorded.zone,
            currency=order.currency,
            purchase=recorded.purchase,
            order_id=order.order_id,
            buyer=order.buyer,
            refund=command.refund,
            refund_id=command.refund_id,
            amount_minor=command.amount_minor,
            refunded_minor=purchase.refunded_minor + command.amount_minor,
            paid_minor=order.paid_minor,
            commissionable_minor=order.commissionable_minor,
            act_occurred_at=recorded.occurred_at,
            act_local_day=recorded.local_day,
            occurred_at=occurred_at,
            local_day=local_day,
        )
    ]


def attribute(command: Attribute, state: State) -> list[PurchaseFact]:
    """Fix the chain of a purchase; nothing to do if it is fixed already, whatever it is.

    Raises:
        NotFound: no such purchase.
    """
    purchase = known(state)
    if purchase.attributed is not None:
        return []
    recorded, order = purchase.recorded, purchase.recorded.order
    occurred_at, local_day = moment(None, now=command.now, importing=False, zone=recorded.zone)
    return [
        PurchaseAttributed(
            organization=recorded.organization,
            community=recorded.community,
            zone=recorded.zone,
            currency=order.currency,
            purchase=recorded.purchase,
            order_id=order.order_id,
            buyer=order.buyer,
            chain=command.chain,
            paid_minor=order.paid_minor,
            commissionable_minor=order.commissionable_minor,
            act_occurred_at=recorded.occurred_at,
            act_local_day=recorded.local_day,
            occurred_at=occurred_at,
            local_day=local_day,
        )
    ]


def known(state: State) -> Recorded:
    """The purchase.

    Raises:
        NotFound: no such purchase.
    """
    if isinstance(state, Unrecorded):
        raise NotFound("purchase-not-found", "There is no such purchase.")
    return state


def refund_of(purchase: Recorded, refund_id: str) -> PurchaseRefunded | None:
    """The refund of that name, if there is one."""
    return next((refund for refund in purchase.refunds if refund.refund_id == refund_id), None)


def net_commissionable(*, commissionable_minor: int, paid_minor: int, refunded_minor: int) -> int:
    """What is left to compute commission from, in minor units, rounded down; 0 where nothing was paid."""
    if paid_minor == 0:
        return 0
    return commissionable_minor * (paid_minor - refunded_minor) // paid_minor


def evolve(state: State, event: PurchaseFact) -> State:
    match event:
        case PurchaseRecorded():
            return Recorded(recorded=event)
        case PurchaseRefunded():
            if isinstance(state, Unrecorded):
                return state
            return msgspec.structs.replace(state, refunds=(*state.refunds, event))
        case PurchaseAttributed():
            return state if isinstance(state, Unrecorded) else msgspec.structs.replace(state, attributed=event)
    assert_never(event)


FOLD: Fold[State, PurchaseFact] = Fold(
    initial=Unrecorded(),
    evolve=evolve,
    codec=Codec[PurchaseFact]([PurchaseRecorded, PurchaseRefunded, PurchaseAttributed]),
    state_type=State,
)
