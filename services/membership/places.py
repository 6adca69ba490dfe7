"""The places of a community with a capacity: counted one by one, so that parallel joins cannot overfill it."""

from datetime import datetime
from typing import assert_never

import msgspec

from services.membership.events import PlaceFact, PlaceFreed, PlaceTaken
from shared.codec import Codec
from shared.decider import Fold
from shared.errors import Conflict


class TakePlace(msgspec.Struct, frozen=True, kw_only=True):
    """Take one of `capacity` places for somebody who joins."""

    community: str
    person: str
    capacity: int
    now: datetime


class FreePlace(msgspec.Struct, frozen=True, kw_only=True):
    """Give back the place of somebody who leaves."""

    community: str
    person: str
    now: datetime


class Places(msgspec.Struct, frozen=True):
    """How many places are taken. Who holds one is known by the member's own stream."""

    taken: int = 0


def take(command: TakePlace, places: Places) -> list[PlaceFact]:
    """Take a place.

    Raises:
        Conflict: `community-full`.
    """
    if places.taken >= command.capacity:
        raise Conflict(
            "community-full", "All places of this community are taken. Try again later.", capacity=command.capacity
        )
    return [PlaceTaken(community=command.community, person=command.person, occurred_at=command.now)]


def free(command: FreePlace) -> list[PlaceFact]:
    """Give a place back."""
    return [PlaceFreed(community=command.community, person=command.person, occurred_at=command.now)]


def evolve(places: Places, event: PlaceFact) -> Places:
    match event:
        case PlaceTaken():
            return Places(taken=places.taken + 1)
        case PlaceFreed():
            return Places(taken=places.taken - 1)
    assert_never(event)


FOLD: Fold[Places, PlaceFact] = Fold(
    initial=Places(),
    evolve=evolve,
    codec=Codec[PlaceFact]([PlaceTaken, PlaceFreed]),
    state_type=Places,
    snapshot_every=100,
)
