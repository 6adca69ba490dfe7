"""Which facts leave the house, and as which message."""

from typing import assert_never

from services.scoring import events, messages
from shared.commands.recorded import Message, Recorded


def publish(recorded: Recorded) -> Message | None:
    """The message that others get of this fact, or None."""
    fact: events.ScoringFact = recorded.event
    match fact:
        case events.CommissionBooked():
            return _booked(fact, recorded)
        case events.RulesetPublished():
            return _published(fact, recorded)
    assert_never(fact)


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


def _published(fact: events.RulesetPublished, recorded: Recorded) -> Message:
    data = messages.RulesetPublished(
        organization=fact.organization,
        community=fact.community,
        version=fact.version,
        valid_from=fact.valid_from,
        published_by=fact.published_by,
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
    )
    whose = fact.community or fact.organization
    return Message(type="scoring.ruleset-published.v1", key=whose, subject=whose, data=data)
