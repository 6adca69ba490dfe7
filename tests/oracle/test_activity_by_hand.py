"""Decay, rank keys and ranks, worked by hand."""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.rankkey import rank_key as key_of_the_service
from tests.oracle.oracle import board, exact_activity, rank_key, root

DAY_0 = date(1970, 1, 1)


def on(scores: dict[int, int]) -> dict[date, int]:
    """Day scores, by days since 1970."""
    return {DAY_0 + timedelta(days=day): score for day, score in scores.items()}


@pytest.mark.parametrize(
    "days, half_life, left",
    [
        (0, 7, "1.000000"),
        (1, 7, "0.905724"),
        (2, 7, "0.820335"),
        (3, 7, "0.742997"),
        (4, 7, "0.672950"),
        (5, 7, "0.609507"),
        (6, 7, "0.552045"),
        (7, 7, "0.500000"),
        (8, 7, "0.452862"),
        (14, 7, "0.250000"),
        (28, 7, "0.062500"),
        (70, 7, "0.000977"),
        (1, 1, "0.500000"),
        (1, 2, "0.707107"),
        (1, 30, "0.977160"),
        (90, 90, "0.500000"),
    ],
)
def test_what_is_left_of_one_after_so_many_days(days: int, half_life: int, left: str) -> None:
    value = exact_activity({DAY_0: 1}, DAY_0 + timedelta(days=days), half_life)
    assert f"{float(value):.6f}" == left


def test_activity_adds_up_the_days_so_far() -> None:
    """50 a week ago, 20 four days ago, 8 tomorrow: 25 + 20 × 0.672950096 = 38.459002."""
    scores = on({0: 50, 3: 20, 8: 8})
    assert f"{float(exact_activity(scores, DAY_0 + timedelta(days=7))):.6f}" == "38.459002"
    assert exact_activity(scores, DAY_0 - timedelta(days=1)) == 0


def test_the_key_of_one_point() -> None:
    """2^62 × 2^60 has 123 digits; the top 40 are a one and 39 zeros, 83 are dropped: 2^39 × 2^-39."""
    assert rank_key(on({0: 1})) == (-39, 2**39)
    assert rank_key(on({0: 3})) == (-38, 3 * 2**38)
    assert rank_key({}) is None
    assert rank_key(on({0: 0})) is None


@pytest.mark.parametrize(
    "one, other, half_life",
    [
        ({0: 2}, {7: 1}, 7),  # half of it is left after a week
        ({-7: 2}, {0: 1}, 7),  # also before 1970: -7 div 7 is -1, and -8 div 7 is -2
        ({-8: 4}, {6: 1}, 7),
        ({10_000: 4}, {10_014: 1}, 7),
        ({0: 2, 7: 1}, {7: 2}, 7),
        ({0: 2**41 - 1}, {0: 2**41}, 7),  # 41 ones are rounded up, the carry makes the exponent larger
        ({0: 2**40 + 1}, {0: 2**40 + 2}, 7),  # exactly half is rounded up
        ({0: 2**30, 61: 1}, {61: 1}, 1),  # 61 half-lives before the newest: left out
        ({0: 2**30, 6 + 7 * 61: 1}, {6 + 7 * 61: 1}, 7),  # though 433 days are less than 62 weeks
    ],
)
def test_equal_keys(one: dict[int, int], other: dict[int, int], half_life: int) -> None:
    assert rank_key(on(one), half_life) == rank_key(on(other), half_life)
    assert key_of_the_service(one, half_life) == key_of_the_service(other, half_life)


@pytest.mark.parametrize(
    "less, more, half_life",
    [
        ({0: 1}, {1: 1}, 7),
        ({0: 10}, {7: 6}, 7),
        ({-1: 1}, {0: 1}, 7),
        ({0: 2**40}, {0: 2**40 + 1}, 7),
        ({60: 1}, {0: 2**30, 60: 1}, 1),  # 60 half-lives before the newest still counts
        ({0: 100}, {6: 56}, 7),  # 100 × 0.552045 = 55.2
        ({6: 55}, {0: 100}, 7),
        ({100_000: 1}, {100_001: 1}, 90),
    ],
)
def test_lesser_keys(less: dict[int, int], more: dict[int, int], half_life: int) -> None:
    lesser, greater = rank_key(on(less), half_life), rank_key(on(more), half_life)
    assert lesser is not None
    assert greater is not None
    assert lesser < greater
    assert key_of_the_service(less, half_life) < key_of_the_service(more, half_life)  # type: ignore[operator]


def test_a_root_is_the_largest_integer_below() -> None:
    assert [root(n, 3) for n in (0, 1, 7, 8, 26, 27)] == [0, 1, 1, 2, 2, 3]
    assert root(2**62, 1) == 2**62


DAYS = st.integers(-400, 400)
SCORES = st.dictionaries(DAYS, st.sampled_from([1, 5, 8, 10, 20, 55, 2**40 + 1, 2**41 - 1]), min_size=1, max_size=6)
HALF_LIVES = st.sampled_from([1, 2, 7, 30, 90])


@given(scores=SCORES, base=st.sampled_from([0, -4000, 9_862, 20_513]), half_life=HALF_LIVES)
def test_the_key_of_the_service_says_exponent_and_mantissa(scores: dict[int, int], base: int, half_life: int) -> None:
    scores = {base + day: score for day, score in scores.items()}
    key = rank_key(on(scores), half_life)
    assert key is not None
    assert key_of_the_service(scores, half_life) == (key[0] + 162 << 40) + key[1]


@given(scores=SCORES, half_life=HALF_LIVES)
def test_the_key_is_the_activity_to_forty_digits(scores: dict[int, int], half_life: int) -> None:
    """Half a unit of the last digit, and a little for the days left out."""
    newest = max(scores) % half_life
    scores = {day - max(scores) + newest: min(score, 1000) for day, score in scores.items()}
    key = rank_key(on(scores), half_life)
    assert key is not None
    exponent, mantissa = key
    that_day = DAY_0 + timedelta(days=newest)
    shown = mantissa * Fraction(2) ** exponent * exact_activity({DAY_0: 1}, that_day, half_life)
    assert abs(shown / exact_activity(on(scores), that_day, half_life) - 1) < Fraction(1, 2**39)


@given(scores=SCORES, other=SCORES, weeks=st.integers(-200, 200))
def test_waiting_changes_no_order(scores: dict[int, int], other: dict[int, int], weeks: int) -> None:
    def order(shift: int) -> bool:
        one, two = (rank_key(on({day + shift: n for day, n in s.items()})) for s in (scores, other))
        assert one is not None
        assert two is not None
        return one < two

    assert order(0) == order(7 * weeks)


def test_ranks() -> None:
    assert board({"dee": 5, "bo": 7, "ana": 9, "cai": 7}) == [(1, "ana"), (2, "bo"), (2, "cai"), (4, "dee")]
