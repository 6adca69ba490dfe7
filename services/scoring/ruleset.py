"""What acts are worth: rules as data, in versions, of which the one in force when an act occurred applies for good."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


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
        starts = [version.valid_from for version in versions]
        if not starts or starts[0] is not None or None in starts[1:] or starts[1:] != sorted(filter(None, starts[1:])):
            raise ValueError("versions start at the beginning of time and follow in the order of valid_from")
        self._latest_first = tuple(reversed(versions))

    def version_at(self, occurred_at: datetime) -> Ruleset:
        """The version in force at that instant."""
        for version in self._latest_first:
            if version.valid_from is None or version.valid_from <= occurred_at:
                return version
        raise AssertionError("the first version is valid from the beginning of time")
