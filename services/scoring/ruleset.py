"""What acts are worth: rules as data, in versions, of which the one in force when an act occurred applies for good."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from typing import Annotated, Literal, NamedTuple, Self, TypeAlias, cast

import msgspec

ActName: TypeAlias = Literal[
    "post_published", "comment_added", "reaction_added", "content_shared", "member_joined", "purchase"
]
"""The labels of acts."""


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
    def label(self) -> ActName:
        return cast(ActName, self.name.lower())


class Reason(IntEnum):
    """Why less was given than wanted. The numbers are stored."""

    DAILY_CAP = 1

    @property
    def label(self) -> str:
        return self.name.lower()


class Effect(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """What one fact changed, as wanted by the rule and as given; negative for what is taken back."""

    act: Act
    points_wanted: int
    points_given: int
    weight_wanted: int
    weight_given: int
    reason: Reason | None

    def plus(self, points: int) -> "Effect":
        """This, and points that no cap limits."""
        return msgspec.structs.replace(
            self, points_wanted=self.points_wanted + points, points_given=self.points_given + points
        )


NO_PURCHASE = Effect(Act.PURCHASE, 0, 0, 0, 0, None)
"""What a refund of a part changes beside the points of the money."""


Worth: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Rate: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=10_000)]

DEFAULT_NUMBER = 1
"""Of the shipped ruleset; those of published versions are larger."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one act is worth.

    Attributes:
        weight: of activity, ≥ 0.
        points: per act.
        daily_cap: acts that count per person, community and local day; None for no cap.
        minor_units_per_point: for acts with money, one point per so many minor units paid; None for others.
    """

    weight: Worth
    points: Worth
    daily_cap: Worth | None = None
    minor_units_per_point: Annotated[int, msgspec.Meta(ge=1, le=10**12)] | None = None

    def effective(self, standing_acts: int) -> int:
        """How many of so many acts of one day count."""
        return standing_acts if self.daily_cap is None else min(standing_acts, self.daily_cap)

    def points_of_money(self, minor_units: int) -> int:
        """Points for so much paid, beside those of the act."""
        return 0 if self.minor_units_per_point is None else minor_units // self.minor_units_per_point


NOTHING = Rule(weight=0, points=0)
"""What an act is worth that a version does not name."""


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a version says, as it is published and stored in `ruleset_versions.rules`.

    Attributes:
        acts: by label; those left out are worth nothing.
        commission_basis_points: the rate of each level, at most two.
        commission_hold_days: how long commission stays pending.
    """

    acts: dict[ActName, Rule]
    commission_basis_points: Annotated[list[Rate], msgspec.Meta(max_length=2)]
    commission_hold_days: Annotated[int, msgspec.Meta(ge=0, le=3650)]

    def encode(self) -> str:
        """As JSON."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """From JSON.

        Raises:
            msgspec.ValidationError: it is of another shape, or a number is out of bounds.
        """
        return msgspec.json.decode(text, type=cls)


class Ruleset(msgspec.Struct, frozen=True, dict=True):
    """One version of an organization's or community's rules.

    Attributes:
        number: stands for this version in the tables of this service.
        version: from 1, per organization or community.
        valid_from: None means from the beginning of time.
        rules: what each act is worth.
        commission_basis_points: the rate of each level.
        commission_hold_days: how long commission stays pending.
    """

    number: int
    version: int
    valid_from: datetime | None
    rules: Mapping[Act, Rule]
    commission_basis_points: Sequence[int]
    commission_hold_days: int

    @classmethod
    def of(cls, number: int, version: int, valid_from: datetime | None, rules: Rules) -> Self:
        """The version that says so."""
        return cls(
            number,
            version,
            valid_from,
            {act: rules.acts.get(act.label, NOTHING) for act in Act},
            tuple(rules.commission_basis_points),
            rules.commission_hold_days,
        )

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
                    reason=None if counts or not (rule.points or rule.weight) else Reason.DAILY_CAP,
                )
                for step in (-1, 1)
            )
            return less, more

        return {
            act: (rule.daily_cap, effects(act, rule, True), effects(act, rule, False))
            for act, rule in self.rules.items()
        }


DEFAULT = Ruleset.of(
    DEFAULT_NUMBER,
    1,
    None,
    Rules(
        acts={
            "post_published": Rule(weight=10, points=10, daily_cap=5),
            "comment_added": Rule(weight=5, points=5, daily_cap=10),
            "reaction_added": Rule(weight=1, points=1, daily_cap=20),
            "content_shared": Rule(weight=8, points=8, daily_cap=5),
            "member_joined": Rule(weight=5, points=0),
            "purchase": Rule(weight=20, points=0, minor_units_per_point=100),
        },
        commission_basis_points=[1000],
        commission_hold_days=15,
    ),
)
"""The ruleset of every organization that has not published one, and of acts from before it did."""


class Published(NamedTuple):
    """A published version and whose it is; `community` None: of the whole organization."""

    organization: str
    community: str | None
    ruleset: Ruleset


class Rulesets:
    """The versions of some organizations and all their communities.

    Args:
        published: in any order. Each is in force from its `valid_from` until that of the next; of two with the same,
            the later version counts.
    """

    def __init__(self, published: Iterable[Published] = ()) -> None:
        self._numbered: dict[int, Ruleset] = {DEFAULT.number: DEFAULT}
        self._newest_first: dict[tuple[str, str | None], list[tuple[datetime, Ruleset]]] = defaultdict(list)
        for organization, community, ruleset in published:
            if ruleset.valid_from is None:
                raise ValueError("only the shipped ruleset is valid from the beginning of time")
            self._numbered[ruleset.number] = ruleset
            self._newest_first[organization, community].append((ruleset.valid_from, ruleset))
        for versions in self._newest_first.values():
            versions.sort(key=lambda item: (item[0], item[1].version), reverse=True)

    def version_at(self, organization: str, community: str, occurred_at: datetime) -> Ruleset:
        """The version in force for an act at that instant. A community's own replaces the organization's whole."""
        if not self._newest_first:
            return DEFAULT
        for owner in (community, None):
            for start, ruleset in self._newest_first.get((organization, owner), ()):
                if start <= occurred_at:
                    return ruleset
        return DEFAULT

    def numbered(self, number: int) -> Ruleset:
        """The version with this number.

        Raises:
            KeyError: it belongs to none of these organizations.
        """
        return self._numbered[number]
