"""What it means that something is bounded: pure functions of what was sampled."""

from collections.abc import Callable, Sequence
from statistics import fmean, median
from typing import NamedTuple, TypeAlias


class Point(NamedTuple):
    """One sample.

    Attributes:
        seconds: since the load began.
        commands: answered by then.
    """

    seconds: float
    commands: int
    value: float


class TooFew(Exception):
    """There are not two samples in each third of a series."""


class Figures(NamedTuple):
    """What a report tells of a series: medians of its first and last third, its peak, and its slope in the last two."""

    first: float
    last: float
    peak: float
    per_hour: float


Rule: TypeAlias = Callable[[Sequence[Point]], str | None]
"""Why a series is not bounded; None if it is. The first third is not judged: caches fill, pools open."""


def thirds(points: Sequence[Point]) -> tuple[Sequence[Point], Sequence[Point], Sequence[Point]]:
    """By time.

    Raises:
        TooFew: to say anything.
    """
    begin, length = points[0].seconds, (points[-1].seconds - points[0].seconds) / 3
    first = [point for point in points if point.seconds < begin + length]
    last = [point for point in points if point.seconds >= begin + 2 * length]
    middle = points[len(first) : len(points) - len(last)]
    if min(len(first), len(middle), len(last)) < 2:
        raise TooFew(f"{len(points)} samples are too few to judge")
    return first, middle, last


def figures(points: Sequence[Point]) -> Figures:
    first, middle, last = thirds(points)
    return Figures(_level(first), _level(last), max(point.value for point in points), 3600 * _slope([*middle, *last]))


def steady(*, allowed: float, share: float = 0.0) -> Rule:
    """The last third is not above the middle one, but for so much, or for that share of it."""

    def judge(points: Sequence[Point]) -> str | None:
        _, middle, last = thirds(points)
        grown, most = _level(last) - _level(middle), max(allowed, share * _level(middle))
        return None if grown <= most else f"rose by {grown:.4g} between the last two thirds, by {most:.4g} at most"

    return judge


def below(ceiling: float) -> Rule:
    """It never stands higher."""

    def judge(points: Sequence[Point]) -> str | None:
        peak = max(point.value for point in points)
        return None if peak <= ceiling else f"peak {peak:.4g}, {ceiling:.4g} at most"

    return judge


def by_command(*, slack: float, share: float = 0.3) -> Rule:
    """It grows by a constant amount with every command: in the last third by no more than in the middle one, but for that
    share of it and a slack for all of the third."""

    def judge(points: Sequence[Point]) -> str | None:
        _, middle, last = thirds(points)
        before, now = _by_command(middle), _by_command(last)
        most = before * (1 + share) + slack / max(1, last[-1].commands - last[0].commands)
        return None if now <= most else f"grew by {now:.4g} with every command, and by {before:.4g} before"

    return judge


def both(*rules: Rule) -> Rule:
    """All of these."""
    return lambda points: next((why for rule in rules if (why := rule(points)) is not None), None)


def told(_: Sequence[Point]) -> str | None:
    """Reported only."""
    return None


def _level(points: Sequence[Point]) -> float:
    return median(point.value for point in points)


def _by_command(points: Sequence[Point]) -> float:
    return (points[-1].value - points[0].value) / max(1, points[-1].commands - points[0].commands)


def _slope(points: Sequence[Point]) -> float:
    """Of the straight line that fits best, a second."""
    at, value = fmean(point.seconds for point in points), fmean(point.value for point in points)
    spread = sum((point.seconds - at) ** 2 for point in points)
    return sum((point.seconds - at) * (point.value - value) for point in points) / spread if spread else 0.0
