"""The life of a ruleset: versions, published one after the other, each in force from a time that was still to come."""

from datetime import datetime
from typing import Any

import msgspec

from services.scoring.events import RULESETS, RulesetPublished
from services.scoring.ruleset import Rules
from shared.decider import Fold
from shared.errors import Conflict, Invalid
from shared.moments import AHEAD


class Publish(msgspec.Struct, frozen=True, kw_only=True):
    """Publish the next version.

    Attributes:
        community: None: for the whole organization.
        ruleset: the number that will stand for it in this service's tables.
        journal_empty: nothing of the organization was ever folded; None: not looked up, since it does not matter.
    """

    organization: str
    community: str | None
    ruleset: int
    valid_from: datetime
    rules: Rules
    published_by: str
    journal_empty: bool | None
    now: datetime


class Versions(msgspec.Struct, frozen=True):
    """How many versions there are, and from when the last one is in force."""

    last: int = 0
    valid_from: datetime | None = None


def publish(command: Publish, versions: Versions) -> list[RulesetPublished]:
    """Publish a version. It never changes what an act was worth: no act that it prices can have been folded yet.

    Raises:
        Invalid: `valid-from-too-early`.
        Conflict: `valid-from-before-the-last-version`.
    """
    # Imports state times up to AHEAD before the clock, so facts of such an instant may exist already.
    if command.valid_from <= command.now + AHEAD and not command.journal_empty:
        raise Invalid(
            "valid-from-too-early",
            "valid_from must lie more than five minutes ahead. Only before anything of the organization is scored may "
            "a version be in force from an earlier time.",
        )
    if versions.valid_from is not None and command.valid_from <= versions.valid_from:
        raise Conflict(
            "valid-from-before-the-last-version",
            "A version must be in force from a later time than the version before it.",
            valid_from=versions.valid_from.isoformat(),
        )
    return [
        RulesetPublished(
            organization=command.organization,
            community=command.community,
            ruleset=command.ruleset,
            version=versions.last + 1,
            valid_from=command.valid_from,
            rules=command.rules,
            published_by=command.published_by,
            occurred_at=command.now,
        )
    ]


def evolve(versions: Versions, event: RulesetPublished) -> Versions:
    return Versions(event.version, event.valid_from)


FOLD: Fold[Versions, Any] = Fold(initial=Versions(), evolve=evolve, codec=RULESETS, state_type=Versions)
