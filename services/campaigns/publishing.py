"""Which facts leave the house, and as which message."""

from typing import assert_never

import msgspec

from services.campaigns import events, messages
from shared.commands.recorded import Message, Recorded


def publish(recorded: Recorded) -> Message | None:
    """The message that others get of this fact: of every one, under the buyer's key."""
    fact: events.PurchaseFact = recorded.event
    match fact:
        case events.PurchaseRecorded():
            return Message("campaigns.purchase-recorded.v1", fact.order.buyer, fact.purchase, _recorded(fact, recorded))
        case events.PurchaseRefunded():
            return Message(
                "campaigns.purchase-refunded.v1", fact.buyer, fact.purchase, recorded.told_as(messages.PurchaseRefunded)
            )
        case events.PurchaseAttributed():
            return Message("campaigns.purchase-attributed.v1", fact.buyer, fact.purchase, _attributed(fact, recorded))
    assert_never(fact)


def _recorded(fact: events.PurchaseRecorded, recorded: Recorded) -> messages.PurchaseRecorded:
    order = fact.order
    lines = [msgspec.convert(line, messages.Line, from_attributes=True) for line in order.lines]
    return recorded.told_as(
        messages.PurchaseRecorded,
        currency=order.currency,
        order_id=order.order_id,
        buyer=order.buyer,
        lines=lines,
        paid_minor=order.paid_minor,
        commissionable_minor=order.commissionable_minor,
        share_code=order.share_code,
        campaign=order.campaign,
    )


def _attributed(fact: events.PurchaseAttributed, recorded: Recorded) -> messages.PurchaseAttributed:
    chain = [msgspec.convert(link, messages.Link, from_attributes=True) for link in fact.chain]
    return recorded.told_as(messages.PurchaseAttributed, chain=chain)
