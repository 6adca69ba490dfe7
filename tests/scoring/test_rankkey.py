"""The rank key against the same definition in fractions and decimals."""

import random
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scoring.rankkey import activity_at, rank_key, value_at

DAYS = st.integers(-800_000, 2_900_000)
HALF_LIVES = st.integers(1, 90)
NEAR_SCORES = st.dictionaries(st.integers(-700, 700), st.integers(0, 10**6), max_size=40)


def exact_root(day_in_block: int, half_life: int) -> int:
    """floor(2^(62 + r/h)) by decimals of 120 digits."""
    with localcontext() as context:
        context.prec = 120
        return int(Decimal(2) ** (62 + Decimal(day_in_block) / Decimal(half_life)))


def exact_sum(day_scores: dict[int, int], half_life: int) -> Fraction:
    """The sum of domain.md 4.2, divided by 2^(60 - Q), so that sums of different people compare."""
    scored = {day: score for day, score in day_scores.items() if score}
    newest = max(scored) // half_life
    return sum(
        (
            score * exact_root(day % half_life, half_life) * Fraction(2) ** (day // half_life)
            for day, score in scored.items()
            if day // half_life >= newest - 60
        ),
        Fraction(0),
    )


def rounded(number: Fraction) -> Fraction:
    """To its top 40 bits, half up."""
    exponent = 0
    while number >= 2**40:
        number, exponent = number / 2, exponent + 1
    while number < 2**39:
        number, exponent = number * 2, exponent - 1
    return Fraction(int(number + Fraction(1, 2))) * Fraction(2) ** exponent


def meaning(key: int) -> Fraction:
    """The number that a key stands for, on the scale of `exact_sum`."""
    exponent, mantissa = key >> 40, key & (2**40 - 1)
    assert 2**39 <= mantissa < 2**40
    return mantissa * Fraction(2) ** (exponent - 100)


@settings(deadline=None)
@given(NEAR_SCORES, HALF_LIVES, st.integers(-20, 20))
def test_a_key_is_the_exact_sum_rounded_half_up_to_40_bits(scores: dict[int, int], half_life: int, shift: int) -> None:
    scores = {day + shift * half_life: score for day, score in scores.items()}
    key = rank_key(scores, half_life)
    if any(scores.values()):
        assert key is not None
        assert meaning(key) == rounded(exact_sum(scores, half_life))
    else:
        assert key is None


@settings(deadline=None)
@given(NEAR_SCORES, NEAR_SCORES, HALF_LIVES)
def test_keys_compare_as_the_sums_do(one: dict[int, int], other: dict[int, int], half_life: int) -> None:
    first, second = rank_key(one, half_life), rank_key(other, half_life)
    if first is not None and second is not None:
        exact = rounded(exact_sum(one, half_life)), rounded(exact_sum(other, half_life))
        assert (first > second) == (exact[0] > exact[1])
        assert (first == second) == (exact[0] == exact[1])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 50)), min_size=1), st.integers(0, 2**32))
def test_the_order_of_arrival_does_not_matter_and_a_take_back_leaves_nothing(
    acts: list[tuple[int, int]], seed: int
) -> None:
    def key_of(arriving: list[tuple[int, int]]) -> int | None:
        scores: dict[int, int] = {}
        for day, weight in arriving:
            scores[day] = scores.get(day, 0) + weight
        return rank_key(scores, 7)

    shuffled = random.Random(seed).sample(acts, len(acts))
    assert key_of(shuffled) == key_of(acts)
    assert key_of([*acts, (600, 5), (600, -5)]) == key_of(acts)


@settings(deadline=None)
@given(DAYS, st.integers(1, 10**9), HALF_LIVES)
def test_a_key_fits_a_bigint_from_the_year_1_to_9999(day: int, score: int, half_life: int) -> None:
    key = rank_key({day: score}, half_life)
    assert key is not None
    assert -(2**63) <= key < 2**63


def test_the_carry_of_rounding_goes_into_the_exponent() -> None:
    below, above = rank_key({0: 2**41 - 1}, 1), rank_key({0: 2**41}, 1)
    assert below == above


def test_a_score_counts_for_60_half_lives() -> None:
    assert rank_key({0: 1, 420: 1}, 7) == rank_key({0: 1, 420: 1, -1: 10**12}, 7)
    assert rank_key({0: 2**30, 420: 1}, 7) != rank_key({420: 1}, 7)


@pytest.mark.parametrize(
    ("scores", "day", "value"),
    [
        ({0: 10}, 0, 10.0),
        ({0: 10}, 7, 5.0),
        ({0: 10}, 14, 2.5),
        ({0: 10, 7: 10}, 7, 15.0),
        ({0: 10, 7: 10}, 14, 7.5),
        ({-7: 8, -14: 8}, 0, 6.0),
        ({0: 10, 1: 10}, 1, 10 + 10 * 2 ** (-1 / 7)),
        ({-10_000: 10}, -9_993, 5.0),
    ],
)
def test_the_value_shown_halves_every_half_life(scores: dict[int, int], day: int, value: float) -> None:
    key = rank_key(scores, 7)
    assert key is not None
    assert value_at(key, day, 7) == pytest.approx(value, rel=1e-11)


def test_an_earlier_day_is_shown_from_the_scores_up_to_it() -> None:
    assert activity_at({0: 10, 7: 10, 8: 99}, 7, 7) == pytest.approx(15.0)
    assert activity_at({0: 10}, -1, 7) == 0.0


def test_a_value_far_in_the_future_fades_to_nothing() -> None:
    key = rank_key({0: 10}, 1)
    assert key is not None
    assert value_at(key, 2_000_000, 1) == 0.0


@pytest.mark.parametrize("half_life", [0, 91, -7])
def test_a_half_life_is_1_to_90_days(half_life: int) -> None:
    with pytest.raises(ValueError, match="half-life"):
        rank_key({0: 1}, half_life)
