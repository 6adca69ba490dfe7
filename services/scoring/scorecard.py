"""Fold one person's facts: what each act changes, given what stood before, and nothing else."""

import msgspec

from services.scoring.rankkey import rank_key
from services.scoring.ruleset import Act, Effect, Rule, Ruleset

# What is kept in memory for many persons holds no cycles: `gc=False` spares the collector from walking all of it.

CountKey = tuple[int, Act, int]
"""(day, act, number of the ruleset version). A day is the number of days since 1970-01-01."""


class NeverDone(Exception):
    """An act is taken back that was never counted."""


class Community(msgspec.Struct, eq=False, gc=False):
    """A community as scoring knows it; `number` is 0 until it has a row."""

    id: str
    organization: str
    zone: str
    number: int = 0
    half_life_days: int = 7


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a standing is on the boards: None on a board where it is not."""

    activity: int | None
    points: int | None


class Standing(msgspec.Struct, eq=False, gc=False):
    """A person in a community.

    Attributes:
        key: rank key of `day_scores`, as of the last `rekey`.
        points: earned in this community.
        active: whether an active member.
        counts: acts that stand, per day, act and ruleset version.
        day_scores: per day, the sum of the weights given.
    """

    community: Community
    key: int | None = None
    points: int = 0
    active: bool = False
    counts: dict[CountKey, int] = {}
    day_scores: dict[int, int] = {}

    def restore(self, key: CountKey, standing_acts: int, score: int) -> None:
        """Take over a count as it was stored, with its share of the day score."""
        self.counts[key] = standing_acts
        self.day_scores[key[0]] = self.day_scores.get(key[0], 0) + score

    def count(self, day: int, act: Act, ruleset: Ruleset, step: int) -> Effect:
        """Let one more act of that day stand (`step` 1) or one less (-1).

        Which of the acts is taken back does not matter: the effect is the difference of `min(n, cap)`.

        Raises:
            NeverDone: none stands that could be taken back.
        """
        key = (day, act, ruleset.number)
        before = self.counts.get(key, 0)
        after = before + step
        if after < 0:
            raise NeverDone
        effect = ruleset.effect(act, step, before if step > 0 else after)
        self.counts[key] = after
        self.day_scores[day] = self.day_scores.get(day, 0) + effect.weight_given
        self.points += effect.points_given
        return effect

    def rekey(self) -> None:
        """Bring the rank key up to date with the day scores."""
        self.key = rank_key(self.day_scores, self.community.half_life_days)

    @property
    def place(self) -> Place:
        return Place(self.key, self.points or None) if self.active else Place(None, None)


class Scorecard(msgspec.Struct, eq=False, gc=False):
    """A person in one organization; `number` is 0 until there is a row."""

    organization: str
    person: str
    number: int = 0
    standings: dict[str, Standing] = {}

    @property
    def rows(self) -> int:
        """How many counts it holds, over all communities."""
        return sum(len(standing.counts) for standing in self.standings.values())


class Touched(msgspec.Struct, eq=False, gc=False):
    """A standing that the batch changed.

    Attributes:
        before, size_before: its place and the number of its counts before the batch.
        counts: those that changed, with their rules.
        membership: whether a join or a leave was among the facts.
    """

    person: Scorecard
    before: Place
    size_before: int
    counts: dict[CountKey, Rule] = {}
    membership: bool = False
