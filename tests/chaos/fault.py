"""What a fault is: something that goes wrong, once, and that somebody tells of afterwards."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.world import World

Strike = Callable[[World], Awaitable[bool]]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        kind: for the figures.
        touches: what it strikes; the faults of one episode strike different things.
        told: in one phrase.
        strike: does it, and tells whether it had the effect meant.
    """

    kind: str
    touches: str
    told: str
    strike: Strike
