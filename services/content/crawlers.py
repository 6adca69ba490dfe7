"""Which programs are no people: by the list of the package crawler-user-agents."""

import re
from collections.abc import Sequence
from functools import cache, lru_cache

from crawleruseragents import CRAWLER_USER_AGENTS_DATA  # type: ignore[import-untyped]

NAMELESS = "nameless"
"""What does not say what it is: every browser does."""

_LONGEST = 512
"""Characters of a user agent that are looked at; browsers send some 150."""

_TOGETHER = 25
"""Patterns that are tried at once."""


def crawler_of(user_agent: str | None) -> str | None:
    """Which crawler this is, as the name it has in the list, whatever version it says; None: a browser."""
    if user_agent is None or not user_agent.strip():
        return NAMELESS
    return _named(user_agent[:_LONGEST])


@lru_cache(maxsize=1024)
def _named(user_agent: str) -> str | None:
    for together, patterns in _list():
        if together.search(user_agent):
            return next(pattern for pattern in patterns if re.search(pattern, user_agent))
    return None


@cache
def _list() -> Sequence[tuple[re.Pattern[str], Sequence[str]]]:
    """Compiled when it is first needed: that takes longer than all else that a process does at its start."""
    patterns = [str(entry["pattern"]) for entry in CRAWLER_USER_AGENTS_DATA]
    chunks = [patterns[first : first + _TOGETHER] for first in range(0, len(patterns), _TOGETHER)]
    return [(re.compile("|".join(chunk)), chunk) for chunk in chunks]
