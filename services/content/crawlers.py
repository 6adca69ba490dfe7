"""Which programs are no people: by the list of the package crawler-user-agents."""

import re
from functools import lru_cache

from crawleruseragents import CRAWLER_USER_AGENTS_DATA  # type: ignore[import-untyped]

_LONGEST = 512
"""Characters of a user agent that are looked at; browsers send some 150."""

_TOGETHER = 25
_PATTERNS = tuple(str(entry["pattern"]) for entry in CRAWLER_USER_AGENTS_DATA)
_CHUNKS = tuple(
    (re.compile("|".join(chunk)), chunk)
    for chunk in (_PATTERNS[first : first + _TOGETHER] for first in range(0, len(_PATTERNS), _TOGETHER))
)

NAMELESS = "nameless"
"""What does not say what it is: every browser does."""


def crawler_of(user_agent: str | None) -> str | None:
    """Which crawler this is, as one of a few hundred names, whatever version it says; None: a browser."""
    if user_agent is None or not user_agent.strip():
        return NAMELESS
    return _named(user_agent[:_LONGEST])


@lru_cache(maxsize=1024)
def _named(user_agent: str) -> str | None:
    for together, chunk in _CHUNKS:
        if together.search(user_agent):
            return next(pattern for pattern in chunk if re.search(pattern, user_agent))
    return None
