"""The floors of a post: its comments are numbered 1, 2, 3 … in commit order, without gaps and for good."""

from datetime import datetime

import msgspec

from services.content.events import FloorGiven
from shared.codec import Codec
from shared.decider import Fold


class Floors(msgspec.Struct, frozen=True):
    """How many floors were given. Which comment stands on one is known by the comment's own stream."""

    given: int = 0


def give(floors: Floors, *, post: str, comment: str, now: datetime) -> list[FloorGiven]:
    """Give a comment the next floor of its post."""
    return [FloorGiven(post=post, comment=comment, floor=floors.given + 1, occurred_at=now)]


def evolve(_: Floors, event: FloorGiven) -> Floors:
    return Floors(given=event.floor)


FOLD: Fold[Floors, FloorGiven] = Fold(
    initial=Floors(),
    evolve=evolve,
    codec=Codec[FloorGiven]([FloorGiven]),
    state_type=Floors,
    snapshot_every=100,
)
