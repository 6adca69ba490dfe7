"""Which facts leave the house, and as which message."""

from services.scoring import events, messages
from shared.commands.recorded import Message, Recorded


def publish(recorded: Recorded) -> Message | None:
    """The message that others get of this fact, or None."""
    fact: events.ScoringFact = recorded.event
    return _booked(fact, recorded)


def _booked(fact: events.CommissionBooked, recorded: Recorded) -> Message:
    data = messages.CommissionBooked(
        organization=fact.organization,
        community=fact.community,
        zone=fact.zone,
        currency=fact.currency,
        person=fact.person,
        entry=fact.entry,
        purchase=fact.purchase,
        order_id=fact.order_id,
        refund=fact.refund,
        level=fact.level,
        amount_minor=fact.amount,
        rate_basis_points=fact.rate,
        payable_at=fact.payable_at,
        cause=fact.cause,
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
    )
    return Message(type="scoring.commission-booked.v1", key=fact.person, subject=fact.entry, data=data)
