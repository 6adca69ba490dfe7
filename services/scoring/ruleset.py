"""What acts are worth: rules as data, in versions, of which the one in force when an act occurred applies for good."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cached_property

import msgspec


class Act(IntEnum):
    """Kinds of acts that a ruleset prices. The numbers are stored."""

    POST_PUBLISHED = 1
    COMMENT_ADDED = 2
    REACTION_ADDED = 3
    CONTENT_SHARED = 4
    MEMBER_JOINED = 5
    PURCHASE = 6

    __hash__ = int.__hash__  # an enum's own hashes its name, in Python, for every act folded

    @property
    def label(self) -> str:
        return self.name.lower()


class Reason(IntEnum):
    """Why less was given than wanted. The numbers are stored."""

    DAILY_CAP = 1

    @property
    def label(self) -> str:
        return self.name.lower()


class Effect(msgspec.Struct, frozen=True, gc=False):
    """What one fact changed, as wanted by the rule and as given; negative for what is taken back."""

    act: Act
    points_wanted: int
    points_given: int
    weight_wanted: int
    weight_given: int
    reason: Reason | None


@dataclass(frozen=True)
class Rule:
    """What one act is worth.

    Attributes:
        weight: of activity, ≥ 0.
        points: per act.
        daily_cap: acts that count per person, community and local day; None for no cap.
        minor_units_per_point: for acts with money, one point per so many minor units paid; None for others.
    """

    weight: int
    points: int
    daily_cap: int | None = None
    minor_units_per_point: int | None = None

    def effective(self, standing_acts: int) -> int:
        """How many of so many acts of one day count."""
        return standing_acts if self.daily_cap is None else min(standing_acts, self.daily_cap)


@dataclass(frozen=True)
class Ruleset:
    """One version.

    Attributes:
        version: from 1.
        valid_from: None means from the beginning of time.
        rules: what each act is worth.
        commission_basis_points: the rate of each level.
        commission_hold_days: how long commission stays pending.
    """

    version: int
    valid_from: datetime | None
    rules: Mapping[Act, Rule]
    commission_basis_points: Sequence[int]
    commission_hold_days: int

    def effect(self, act: Act, step: int, others: int) -> Effect:
        """The difference that one act makes where so many others of its kind and day stand.

        Args:
            step: 1 for an act that comes to stand, -1 for one that is taken back.
        """
        cap, counting, capped = self._effects[act]
        return (counting if cap is None or others < cap else capped)[step > 0]

    @cached_property
    def _effects(self) -> Mapping[Act, tuple[int | None, tuple[Effect, Effect], tuple[Effect, Effect]]]:
        """By act: its daily cap, and what it takes and gives where it counts and where it does not. Made once, not for
        every act folded."""

        def effects(act: Act, rule: Rule, counts: bool) -> tuple[Effect, Effect]:
            less, more = (
                Effect(
                    act,
                    points_wanted=rule.points * step,
                    points_given=rule.points * step * counts,
                    weight_wanted=rule.weight * step,
                    weight_given=rule.weight * step * counts,
                    reason=None if counts else Reason.DAILY_CAP,
                )
                for step in (-1, 1)
            )
            return less, more

        return {
            act: (rule.daily_cap, effects(act, rule, True), effects(act, rule, False))
            for act, rule in self.rules.items()
        }


DEFAULT = Ruleset(
    version=1,
    valid_from=None,
    rules={
        Act.POST_PUBLISHED: Rule(weight=10, points=10, daily_cap=5),
        Act.COMMENT_ADDED: Rule(weight=5, points=5, daily_cap=10),
        Act.REACTION_ADDED: Rule(weight=1, points=1, daily_cap=20),
        Act.CONTENT_SHARED: Rule(weight=8, points=8, daily_cap=5),
        Act.MEMBER_JOINED: Rule(weight=5, points=0),
        Act.PURCHASE: Rule(weight=20, points=0, minor_units_per_point=100),
    },
    commission_basis_points=(1000,),
    commission_hold_days=15,
)
"""The ruleset of every organization that has not published one."""


class Rulesets:
    """The versions of one ruleset.

    Args:
        versions: in the order of `valid_from`; the first is valid from the beginning of time.
    """

    def __init__(self, versions: Sequence[Ruleset] = (DEFAULT,)) -> None:
        first, *later = versions
        starts = [version.valid_from for version in later if version.valid_from is not None]
        if first.valid_from is not None or len(starts) < len(later) or starts != sorted(starts):
            raise ValueError("versions start at the beginning of time and follow in the order of valid_from")
        self._first = first
        self._later = list(zip(reversed(starts), reversed(later), strict=True))

    def version_at(self, occurred_at: datetime) -> Ruleset:
        """The version in force at that instant."""
        for start, version in self._later:
            if start <= occurred_at:
                return version
        return self._first
