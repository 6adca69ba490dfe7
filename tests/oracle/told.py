"""What tables worked by hand are told with."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from shared.messaging.facts import InboundFact
from tests.oracle.oracle import DEFAULT, Effect, Price, Scores
from tests.scoring.story import NOON

MARCH_1 = date(2026, 3, 1)
MARCH_2 = date(2026, 3, 2)

_NOTHING = Effect("", "", 0, 0, 0, 0, 0)


def priced(**changed: Price) -> dict[str, Price]:
    """The prices of the default with these changes."""
    return {**DEFAULT.prices, **changed}


def later(minutes: float) -> datetime:
    """So many minutes after noon of the first of March."""
    return NOON + timedelta(minutes=minutes)


def points(scores: Scores, facts: Sequence[InboundFact]) -> list[tuple[int, int]]:
    """(wanted, given) of each fact."""
    effects = [scores.effects.get(fact.event_id, _NOTHING) for fact in facts]
    return [(effect.points_wanted, effect.points_given) for effect in effects]


def activity(scores: Scores, facts: Sequence[InboundFact]) -> list[int]:
    """What each fact changed in day scores."""
    return [scores.effects.get(fact.event_id, _NOTHING).weight_given for fact in facts]
