"""What a row of the benchmark is, and what measuring it gives."""

import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

_STARTED = time.monotonic()


@dataclass(frozen=True)
class Options:
    """How much to do.

    Attributes:
        scale: share of the full sizes; below 1 only to see that a row runs.
        repeats: of each measured side, interleaved; the median counts.
    """

    scale: float = 1.0
    repeats: int = 5

    def size(self, full: int, *, least: int = 1) -> int:
        return max(least, int(full * self.scale))


@dataclass(frozen=True)
class Outcome:
    """What a row got.

    Attributes:
        got: as shown in the table.
        reached: whether that is within reach.
        notes: further figures, one a line.
    """

    got: str
    reached: bool
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: for `--only`.
        what: is measured.
        reach: as shown in the table.
    """

    name: str
    what: str
    reach: str
    measure: Callable[[Options], Coroutine[Any, Any, Outcome]]


def say(text: str) -> None:
    """Progress, on standard error."""
    print(f"{time.monotonic() - _STARTED:7.1f} s  {text}", file=sys.stderr, flush=True)
