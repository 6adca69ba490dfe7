"""Which facts leave the house, and as which message."""

from typing import assert_never

from services.campaigns import events, messages
from shared.commands.recorded import Message, Recorded


def publish(recorded: Recorded) -> Message | None:
    """The message that others get of this fact: of every one, under the buyer's key."""
    fact: events.PurchaseFact = recorded.event
    match fact:
        case events.PurchaseRecorded():
            return Message("campaigns.purchase-recorded.v1", fact.order.buyer, fact.purchase, _recorded(fact, recorded))
        case events.PurchaseRefunded():
            return Message("campaigns.purchase-refunded.v1", fact.buyer, fact.purchase, _refunded(fact, recorded))
        case events.PurchaseAttributed():
            return Message("campaigns.purchase-attributed.v1", fact.buyer, fact.purchase, _attributed(fact, recorded))
    assert_never(fact)


def _recorded(fact: events.PurchaseRecorded, recorded: Recorded) -> messages.PurchaseRecorded:
    order = fact.order
    return messages.PurchaseRecorded(
        organization=fact.organization,
        community=fact.community,
        zone=fact.zone,
        currency=order.currency,
        purchase=fact.purchase,
        order_id=order.order_id,
        buyer=order.buyer,
        lines=[
            messages.Line(product=line.product, quantity=line.quantity, amount_minor=line.amount_minor)
            for line in order.lines
        ],
        paid_minor=order.paid_minor,
        commissionable_minor=order.commissionable_minor,
        share_code=order.share_code,
        campaign=order.campaign,
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
    )


def _refunded(fact: events.PurchaseRefunded, recorded: Recorded) -> messages.PurchaseRefunded:
    return messages.PurchaseRefunded(
        organization=fact.organization,
        community=fact.community,
        zone=fact.zone,
        currency=fact.currency,
        purchase=fact.purchase,
        order_id=fact.order_id,
        buyer=fact.buyer,
        refund=fact.refund,
        refund_id=fact.refund_id,
        amount_minor=fact.amount_minor,
        refunded_minor=fact.refunded_minor,
        paid_minor=fact.paid_minor,
        commissionable_minor=fact.commissionable_minor,
        act_occurred_at=fact.act_occurred_at,
        act_local_day=fact.act_local_day,
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
    )


def _attributed(fact: events.PurchaseAttributed, recorded: Recorded) -> messages.PurchaseAttributed:
    return messages.PurchaseAttributed(
        organization=fact.organization,
        community=fact.community,
        zone=fact.zone,
        currency=fact.currency,
        purchase=fact.purchase,
        order_id=fact.order_id,
        buyer=fact.buyer,
        chain=[messages.Link(level=link.level, person=link.person, by=link.by) for link in fact.chain],
        paid_minor=fact.paid_minor,
        commissionable_minor=fact.commissionable_minor,
        act_occurred_at=fact.act_occurred_at,
        act_local_day=fact.act_local_day,
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
    )
