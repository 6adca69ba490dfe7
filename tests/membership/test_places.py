"""The places of a community with a capacity."""

from services.membership.events import PlaceFreed, PlaceTaken
from services.membership.places import FOLD, FreePlace, TakePlace, free, take
from shared.errors import Conflict
from tests.membership.facts import NOW, RUNNERS
from tests.support.gwt import given

TAKE = TakePlace(community=RUNNERS, person="cy", capacity=2, now=NOW)
FREED = PlaceFreed(community=RUNNERS, person="bo", occurred_at=NOW)


def taken(person: str) -> PlaceTaken:
    return PlaceTaken(community=RUNNERS, person=person, occurred_at=NOW)


def test_a_place_is_taken_while_there_is_one() -> None:
    given(FOLD, taken("bo")).when(lambda places: take(TAKE, places)).then(taken("cy"))


def test_the_last_place_is_the_last() -> None:
    refusal = given(FOLD, taken("ana"), taken("bo")).when(lambda places: take(TAKE, places))
    assert refusal.then_refused(Conflict, "community-full").extras == {"capacity": 2}


def test_who_leaves_frees_a_place() -> None:
    full = given(FOLD, taken("ana"), taken("bo"))
    full.when(lambda _: free(FreePlace(community=RUNNERS, person="bo", now=NOW))).then(FREED)
    given(FOLD, taken("ana"), taken("bo"), FREED).when(lambda places: take(TAKE, places)).then(taken("cy"))
