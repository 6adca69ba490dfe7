"""Caps, take-backs and day changes, by tables worked by hand from the shipped ruleset."""

from datetime import UTC, datetime

import pytest

from services.scoring.ruleset import DEFAULT, Act, Reason, Rule, Ruleset
from services.scoring.scorecard import Community, NeverDone, Place, Standing

MONDAY, TUESDAY = 20_000, 20_001


def standing() -> Standing:
    return Standing(Community("c", "acme", "UTC"))


def given_and_reason(one: Standing, day: int, step: int, act: Act = Act.POST_PUBLISHED) -> tuple[int, int, str]:
    effect = one.count(day, act, DEFAULT, step)
    return effect.points_wanted, effect.points_given, effect.reason.label if effect.reason is not None else ""


def test_five_posts_of_a_day_count_and_the_next_day_begins_anew() -> None:
    one = standing()
    assert [given_and_reason(one, day, 1) for day in [MONDAY] * 7 + [TUESDAY]] == [
        (10, 10, ""),
        (10, 10, ""),
        (10, 10, ""),
        (10, 10, ""),
        (10, 10, ""),
        (10, 0, "daily_cap"),
        (10, 0, "daily_cap"),
        (10, 10, ""),
    ]
    assert one.points == 60
    assert one.day_scores == {MONDAY: 50, TUESDAY: 10}


def test_what_is_taken_back_above_the_cap_takes_nothing_and_makes_room_below_it() -> None:
    one = standing()
    for _ in range(6):
        one.count(MONDAY, Act.POST_PUBLISHED, DEFAULT, 1)
    assert [given_and_reason(one, MONDAY, step) for step in (-1, -1, 1, 1, -1, -1)] == [
        (-10, 0, "daily_cap"),
        (-10, -10, ""),
        (10, 10, ""),
        (10, 0, "daily_cap"),
        (-10, 0, "daily_cap"),
        (-10, -10, ""),
    ]
    assert one.points == 40


def test_a_take_back_counts_on_the_day_of_the_act() -> None:
    one = standing()
    for day in (MONDAY, TUESDAY):
        one.count(day, Act.POST_PUBLISHED, DEFAULT, 1)
    one.count(MONDAY, Act.POST_PUBLISHED, DEFAULT, -1)
    assert one.day_scores == {MONDAY: 0, TUESDAY: 10}


def test_acts_of_one_kind_and_day_are_capped_apart_from_others() -> None:
    one = standing()
    for _ in range(5):
        one.count(MONDAY, Act.POST_PUBLISHED, DEFAULT, 1)
    assert given_and_reason(one, MONDAY, 1, Act.COMMENT_ADDED) == (5, 5, "")
    assert given_and_reason(one, MONDAY, 1, Act.MEMBER_JOINED) == (0, 0, "")
    assert one.day_scores == {MONDAY: 60}


def test_each_version_counts_by_itself() -> None:
    doubled = Ruleset(2, 1, datetime(2026, 1, 1, tzinfo=UTC), {Act.POST_PUBLISHED: Rule(1, 20, 1)}, (), 0)
    one = standing()
    for ruleset in (DEFAULT, doubled, doubled):
        one.count(MONDAY, Act.POST_PUBLISHED, ruleset, 1)
    assert (one.points, one.day_scores) == (30, {MONDAY: 11})


def test_what_was_never_done_cannot_be_taken_back() -> None:
    one = standing()
    one.count(MONDAY, Act.POST_PUBLISHED, DEFAULT, 1)
    with pytest.raises(NeverDone):
        one.count(TUESDAY, Act.POST_PUBLISHED, DEFAULT, -1)


def test_only_active_members_with_a_score_have_a_place() -> None:
    one = standing()
    one.count(MONDAY, Act.MEMBER_JOINED, DEFAULT, 1)
    one.rekey()
    assert one.place == Place(None, None)
    one.active = True
    assert one.place == Place(one.key, None)
    one.count(MONDAY, Act.POST_PUBLISHED, DEFAULT, 1)
    assert one.place.points == 10


def test_the_reason_is_stored_by_a_number_that_stays() -> None:
    assert (Reason.DAILY_CAP, Act.POST_PUBLISHED, Act.MEMBER_JOINED) == (1, 1, 5)
