"""Which facts leave the house, and as which message."""

from typing import assert_never

from services.scoring import events, messages
from shared.commands.recorded import Message, Recorded


def publish(recorded: Recorded) -> Message | None:
    """The message that others get of this fact, or None."""
    fact: events.ScoringFact = recorded.event
    match fact:
        case events.CommissionBooked():
            booked = recorded.told_as(messages.CommissionBooked, amount_minor=fact.amount, rate_basis_points=fact.rate)
            return Message("scoring.commission-booked.v1", fact.person, fact.entry, booked)
        case events.CommissionVoided():
            voided = recorded.told_as(messages.CommissionVoided, amount_minor=fact.amount)
            return Message("scoring.commission-voided.v1", fact.person, fact.entry, voided)
        case events.RulesetPublished():
            whose = fact.community or fact.organization
            published = recorded.told_as(messages.RulesetPublished)
            return Message("scoring.ruleset-published.v1", whose, whose, published)
    assert_never(fact)
