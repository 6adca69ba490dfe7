"""Order people by decayed activity with one integer that is a pure function of their day scores.

With half-life `h`, day `d` weighs `2^(d/h)`. The exact integer `Σ score(d) × W[d mod h] × 2^(d div h − Q + 60)`, where
`Q` is the newest scored day `div h` and `W[r] = floor(2^(62 + r/h))`, is rounded half up to 40 bits. Scores more than
60 half-lives older than the newest are left out, so the cost is bounded. No floating point takes part: a key is the
same on every machine and in every order of arrival. Floats appear only where a value is shown.

A day is the number of days since 1970-01-01, negative before.
"""

import math
from collections.abc import Mapping
from functools import lru_cache

WINDOW = 60
"""Half-lives after which a score no longer counts against newer ones."""

LONGEST_HALF_LIFE = 90
"""Days."""

_ROOT_BITS = 62
_MANTISSA_BITS = 40
_MANTISSA_MASK = (1 << _MANTISSA_BITS) - 1


def rank_key(day_scores: Mapping[int, int], half_life: int) -> int | None:
    """The key of a person with these scores per day (each ≥ 0); None without a score.

    Larger is more active; the order of two keys is the order of the scores at any later day. The key is
    `exponent × 2^40 + mantissa` with `2^39 ≤ mantissa < 2^40`, so that keys compare as plain (signed 64-bit) integers.
    """
    scored = [day for day, score in day_scores.items() if score]
    if not scored:
        return None
    weights = _weights(half_life)
    newest = max(scored) // half_life
    oldest = newest - WINDOW
    total = 0
    for day in scored:
        block, rest = divmod(day, half_life)
        if block >= oldest:
            total += day_scores[day] * weights[rest] << (block - oldest)
    bits = total.bit_length()
    mantissa = ((total >> (bits - _MANTISSA_BITS - 1)) + 1) >> 1
    if mantissa >> _MANTISSA_BITS:
        mantissa >>= 1
        bits += 1
    return ((bits + newest) << _MANTISSA_BITS) + mantissa


def value_at(key: int, day: int, half_life: int) -> float:
    """The activity that a key stands for at a local day not before the last scored one, for display.

    A day long before it raises OverflowError.
    """
    exponent, mantissa = key >> _MANTISSA_BITS, key & _MANTISSA_MASK
    block, rest = divmod(day, half_life)
    scale = exponent - _MANTISSA_BITS - WINDOW - _ROOT_BITS - block
    return math.ldexp(mantissa * 2.0 ** (-rest / half_life), scale)


def activity_at(day_scores: Mapping[int, int], day: int, half_life: int) -> float:
    """The activity at any local day, from the scores up to that day."""
    key = rank_key({scored: score for scored, score in day_scores.items() if scored <= day}, half_life)
    return 0.0 if key is None else value_at(key, day, half_life)


@lru_cache(maxsize=LONGEST_HALF_LIFE)
def _weights(half_life: int) -> tuple[int, ...]:
    if not 1 <= half_life <= LONGEST_HALF_LIFE:
        raise ValueError(f"a half-life is 1 to {LONGEST_HALF_LIFE} days, not {half_life}")
    return tuple(_root(1 << (_ROOT_BITS * half_life + rest), half_life) for rest in range(half_life))


def _root(number: int, degree: int) -> int:
    """The largest integer whose power `degree` is at most `number`, sought between 2^62 and 2^63."""
    low, high = 1 << _ROOT_BITS, 1 << (_ROOT_BITS + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if middle**degree <= number:
            low = middle
        else:
            high = middle
    return low
