from collections.abc import Callable
from random import Random

import pytest

from tests.soak.verdicts import Point, TooFew, below, both, by_command, figures, steady, thirds, told

MINUTES = 30
RATE = 100


def series(value: Callable[[float], float], *, noise: float = 0.0, seed: int = 1) -> list[Point]:
    """A sample every five seconds; `value` of the minutes gone."""
    dice = Random(seed)
    return [
        Point(second, second * RATE, value(second / 60) + dice.uniform(-noise, noise))
        for second in range(0, MINUTES * 60 + 1, 5)
    ]


MEMORY = steady(allowed=8, share=0.05)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_flat_but_noisy_passes_and_what_creeps_does_not(seed: int) -> None:
    assert MEMORY(series(lambda _: 100, noise=6, seed=seed)) is None
    assert MEMORY(series(lambda minute: 100 + minute, noise=6, seed=seed))


def test_what_is_filled_at_the_beginning_is_no_creeping() -> None:
    assert MEMORY(series(lambda minute: min(100 + 10 * minute, 180))) is None


def test_a_share_counts_where_it_is_more_than_what_is_allowed() -> None:
    grown = series(lambda minute: 1000 if minute < 20 else 1040)
    assert MEMORY(grown) is None
    assert steady(allowed=8)(grown)


def test_a_sawtooth_of_pruning_is_flat_and_one_that_rises_is_not() -> None:
    assert steady(allowed=500, share=0.25)(series(lambda minute: 2000 + 900 * (minute % 1))) is None
    assert steady(allowed=500, share=0.25)(series(lambda minute: 2000 + 900 * (minute % 1) + 200 * minute))


def test_what_grows_with_the_commands_passes_and_what_grows_faster_does_not() -> None:
    rule = by_command(slack=0.008)
    assert rule(series(lambda minute: 3 * minute, noise=0.2)) is None
    assert rule(series(lambda minute: 0.1 * minute**2))
    assert rule(series(lambda _: 5)) is None
    assert rule(series(lambda minute: 5 if minute < 20 else 5 + (minute - 20)))


def test_a_table_that_stood_still_may_grow_by_a_page() -> None:
    assert by_command(slack=0.008)(series(lambda minute: 0.016 if minute < 25 else 0.024)) is None


def test_a_ceiling_is_for_every_sample() -> None:
    assert below(5)(series(lambda minute: 4)) is None
    assert below(5)(series(lambda minute: 6 if minute == 1 else 0))


def test_of_several_rules_all_count() -> None:
    rule = both(below(100), steady(allowed=1))
    assert rule(series(lambda minute: 5)) is None
    assert rule(series(lambda minute: minute))
    assert rule(series(lambda minute: 101))
    assert told(series(lambda minute: minute)) is None


def test_figures_are_medians_a_peak_and_a_slope_of_the_last_two_thirds() -> None:
    found = figures(series(lambda minute: 50 if minute < 10 else 60 + minute))
    assert found.first == 50
    assert found.last == pytest.approx(85, abs=0.1)
    assert found.peak == 90
    assert found.per_hour == pytest.approx(60)


def test_too_few_samples_are_not_judged() -> None:
    with pytest.raises(TooFew, match="too few"):
        thirds(series(lambda minute: 1)[:5])
