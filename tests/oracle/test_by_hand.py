"""Tables worked by hand for every formula of scoring. Every number below was written out, none was computed.

Each table is asked of the oracle and of the service's own projection.
"""

from datetime import UTC, date, datetime, timedelta

import pytest

from shared.moments import moment
from tests.oracle.conftest import WorkOut
from tests.oracle.oracle import Effect, Ruleset, Scores, Version, local_day
from tests.oracle.told import MARCH_1, MARCH_2, activity, later, points, priced
from tests.scoring.story import NOON, Story

# --- Caps ---


async def test_six_posts_on_a_day_of_which_two_are_removed(work_out: WorkOut, story: Story, town: str) -> None:
    posts = [story.published("ana", town, at=later(n)) for n in range(6)]
    facts = [*posts, story.removed(posts[0], at=later(10)), story.removed(posts[5], at=later(11))]
    scores = await work_out(facts)
    # n:                            1         2         3         4         5        6         5          4
    assert points(scores, facts) == [(10, 10), (10, 10), (10, 10), (10, 10), (10, 10), (10, 0), (-10, 0), (-10, -10)]
    assert [scores.effects[fact.event_id].reason for fact in facts] == [None] * 5 + ["daily_cap", "daily_cap", None]
    assert scores.day_scores == {("acme", "ana", town): {MARCH_1: 40}}
    assert scores.points == {("acme", "ana", town): 40}


@pytest.mark.parametrize(
    "act, times, each, total",
    [("published", 6, 10, 50), ("commented", 11, 5, 50), ("reacted", 21, 1, 20), ("shared", 6, 8, 40)],
)
async def test_the_daily_cap_of_every_act(
    work_out: WorkOut, story: Story, town: str, act: str, times: int, each: int, total: int
) -> None:
    facts = [getattr(story, act)("ana", town, at=later(n)) for n in range(times)]
    scores = await work_out(facts)
    assert points(scores, facts) == [(each, each)] * (times - 1) + [(each, 0)]
    assert activity(scores, facts) == [each] * (times - 1) + [0]
    assert scores.day_scores == {("acme", "ana", town): {MARCH_1: total}}
    assert scores.points == {("acme", "ana", town): total}


async def test_reactions_withdrawn_after_the_cap(work_out: WorkOut, story: Story, town: str) -> None:
    reactions = [story.reacted("ana", town, at=later(n)) for n in range(22)]
    withdrawn = [story.reaction_withdrawn(reaction, at=later(60)) for reaction in reactions[:4]]
    scores = await work_out([*reactions, *withdrawn])
    assert points(scores, reactions[19:]) == [(1, 1), (1, 0), (1, 0)]
    # 22 stand; 21, 20, 19, 18: the first two withdrawals only reach the cap again.
    assert points(scores, withdrawn) == [(-1, 0), (-1, 0), (-1, -1), (-1, -1)]
    assert scores.points == {("acme", "ana", town): 18}
    assert scores.day_scores == {("acme", "ana", town): {MARCH_1: 18}}


async def test_comments_removed_after_the_cap(work_out: WorkOut, story: Story, town: str) -> None:
    comments = [story.commented("ana", town, at=later(n)) for n in range(12)]
    removed = [story.comment_removed(comment, at=later(60)) for comment in comments[:3]]
    scores = await work_out([*comments, *removed])
    assert points(scores, removed) == [(-5, 0), (-5, 0), (-5, -5)]
    assert scores.points == {("acme", "ana", town): 45}


async def test_a_cap_is_of_one_act_one_day_one_community_and_one_person(work_out: WorkOut, story: Story) -> None:
    one, other = story.community(), story.community()
    facts = [
        *(story.published("ana", one, at=later(n)) for n in range(5)),
        story.commented("ana", one),
        story.published("ana", one, at=NOON + timedelta(days=1)),
        story.published("ana", other),
        story.published("bo", one),
    ]
    scores = await work_out(facts)
    assert points(scores, facts[5:]) == [(5, 5), (10, 10), (10, 10), (10, 10)]
    assert scores.points == {("acme", "ana", one): 65, ("acme", "ana", other): 10, ("acme", "bo", one): 10}
    assert scores.day_scores[("acme", "ana", one)] == {MARCH_1: 55, MARCH_2: 10}
    assert scores.balance("acme", "ana") == 75


async def test_a_reaction_to_something_of_ones_own(work_out: WorkOut, story: Story, town: str) -> None:
    own = story.reacted("ana", town, counts=False)
    scores = await work_out([own, story.reaction_withdrawn(own)])
    assert scores == Scores()


# --- Taken back and restored ---


async def test_hidden_and_then_removed_is_one_withdrawal(work_out: WorkOut, story: Story, town: str) -> None:
    """Content tells of the first reason and of the end of the last one; what lies between is nothing to scoring."""
    post = story.published("ana", town)
    facts = [post, story.removed(post, removed_by="staff"), story.restored(post, at=later(9)), story.removed(post)]
    scores = await work_out(facts)
    assert points(scores, facts) == [(10, 10), (-10, -10), (10, 10), (-10, -10)]
    assert (scores.points, scores.day_scores) == ({}, {})


async def test_a_post_restored_above_the_cap(work_out: WorkOut, story: Story, town: str) -> None:
    posts = [story.published("ana", town, at=later(n)) for n in range(5)]
    facts = [story.removed(posts[0], at=later(9)), story.published("ana", town, at=later(10)), story.restored(posts[0])]
    scores = await work_out([*posts, *facts])
    assert points(scores, facts) == [(-10, -10), (10, 10), (10, 0)]
    assert scores.points == {("acme", "ana", town): 50}


async def test_what_is_removed_on_a_later_day_is_missing_on_the_day_of_the_act(
    work_out: WorkOut, story: Story, town: str
) -> None:
    old, new = story.published("ana", town), story.published("ana", town, at=NOON + timedelta(days=1))
    scores = await work_out([old, new, story.removed(old, at=NOON + timedelta(days=1, minutes=1))])
    assert scores.day_scores == {("acme", "ana", town): {MARCH_2: 10}}


async def test_who_returns_has_joined_once(work_out: WorkOut, story: Story, town: str) -> None:
    facts = [
        story.joined("ana", town),
        story.left("ana", town, at=later(5)),
        story.joined("ana", town, first=False, at=later(6)),
    ]
    scores = await work_out(facts)
    assert scores.effects[facts[0].event_id] == Effect("ana", "member_joined", 1, 0, 0, 5, 5)
    assert activity(scores, facts) == [5, 0, 0]
    assert scores.day_scores == {("acme", "ana", town): {MARCH_1: 5}}
    assert scores.points == {}


# --- Versions of the rules ---

CHEAP = Ruleset(
    2,
    priced(post_published=(3, 4, 2), reaction_added=(2, 0, 1)),
    divisor=1000,
    levels=(800, 250),
    hold_days=0,
)
DEAR = Ruleset(3, priced(post_published=(100, 70, None)), levels=())


async def test_two_versions_on_one_day_have_a_cap_each(work_out: WorkOut, story: Story, town: str) -> None:
    """Six posts before two o'clock, three from then on, of which the first at two o'clock sharp."""
    versions = [Version("acme", None, later(120), CHEAP)]
    before = [story.published("ana", town, at=later(n)) for n in range(6)]
    after = [story.published("ana", town, at=later(120 + n)) for n in range(3)]
    back = [story.removed(post, at=later(180)) for post in (before[0], before[1], after[0], after[1])]
    scores = await work_out([*before, *after, *back], versions)
    assert points(scores, before) == [(10, 10)] * 5 + [(10, 0)]
    assert points(scores, after) == [(4, 4), (4, 4), (4, 0)]
    # At the version of the act that is taken back: 6 → 5 and 5 → 4 at 10; 3 → 2 and 2 → 1 at 4.
    assert points(scores, back) == [(-10, 0), (-10, -10), (-4, 0), (-4, -4)]
    assert activity(scores, back) == [0, -10, 0, -3]
    assert [scores.effects[fact.event_id].ruleset for fact in (*before, *after, *back)] == [1] * 6 + [2] * 3 + [
        *(1, 1, 2, 2)
    ]
    assert scores.points == {("acme", "ana", town): 44}  # 4 × 10 + 1 × 4
    assert scores.day_scores == {("acme", "ana", town): {MARCH_1: 43}}  # 4 × 10 + 1 × 3


async def test_the_instant_before_a_version_is_valid(work_out: WorkOut, story: Story, town: str) -> None:
    versions = [Version("acme", None, NOON, CHEAP)]
    facts = [story.published("ana", town, at=NOON - timedelta(microseconds=1)), story.published("ana", town)]
    assert points(await work_out(facts, versions), facts) == [(10, 10), (4, 4)]


async def test_of_two_versions_valid_from_the_same_instant_the_later_one_is_in_force(
    work_out: WorkOut, story: Story, town: str
) -> None:
    versions = [Version("acme", None, NOON, CHEAP), Version("acme", None, NOON, DEAR)]
    facts = [story.published("ana", town)]
    assert points(await work_out(facts, versions), facts) == [(70, 70)]


async def test_a_later_version_that_is_valid_earlier_rules_until_the_other_begins(
    work_out: WorkOut, story: Story, town: str
) -> None:
    versions = [Version("acme", None, later(10), CHEAP), Version("acme", None, NOON, DEAR)]
    facts = [story.published("ana", town), story.published("ana", town, at=later(10))]
    assert points(await work_out(facts, versions), facts) == [(70, 70), (4, 4)]


async def test_a_community_of_its_own_rules(work_out: WorkOut, story: Story) -> None:
    """An override replaces the whole ruleset, for good: later versions of the organization do not reach it."""
    own, other = story.community(), story.community()
    versions = [
        Version("acme", None, NOON - timedelta(days=9), CHEAP),
        Version("acme", own, NOON, DEAR),
        Version("acme", None, later(10), Ruleset(4, priced(post_published=(1, 1, None)))),
        Version("rivals", None, NOON - timedelta(days=1), Ruleset(5, priced(post_published=(9, 9, 9)))),
    ]
    facts = [
        story.published("ana", own, at=later(-1)),
        story.published("ana", own, at=later(20)),
        story.published("ana", other, at=later(5)),
        story.published("ana", other, at=later(20)),
    ]
    scores = await work_out(facts, versions)
    assert points(scores, facts) == [(4, 4), (70, 70), (4, 4), (1, 1)]
    assert scores.balance("acme", "ana") == 79


async def test_weight_and_points_are_capped_together_also_where_one_of_them_is_nothing(
    work_out: WorkOut, story: Story, town: str
) -> None:
    versions = [Version("acme", None, NOON, CHEAP)]
    facts = [story.reacted("ana", town), story.reacted("ana", town)]
    scores = await work_out(facts, versions)
    assert (points(scores, facts), activity(scores, facts)) == ([(0, 0), (0, 0)], [2, 0])
    assert scores.day_scores == {("acme", "ana", town): {MARCH_1: 2}}


# --- Days ---


async def test_midnight_in_shanghai_is_at_four_in_the_afternoon_of_london(work_out: WorkOut) -> None:
    story = Story(zone="Asia/Shanghai")
    town = story.community()
    four = datetime(2026, 3, 1, 16, tzinfo=UTC)
    before = [story.published("ana", town, at=four - timedelta(microseconds=1 + n)) for n in range(6)]
    after = [story.published("ana", town, at=four + timedelta(minutes=n)) for n in range(6)]
    scores = await work_out([*before, *after])
    assert points(scores, [before[5], after[0], after[5]]) == [(10, 0), (10, 10), (10, 0)]
    assert scores.day_scores == {("acme", "ana", town): {MARCH_1: 50, MARCH_2: 50}}


@pytest.mark.parametrize(
    "utc, zone, day",
    [
        ("2026-03-01T15:59:59.999999", "Asia/Shanghai", MARCH_1),
        ("2026-03-01T16:00:00", "Asia/Shanghai", MARCH_2),
        ("2026-03-02T07:59:59", "America/Los_Angeles", MARCH_1),
        ("2026-03-02T08:00:00", "America/Los_Angeles", MARCH_2),
        ("2026-07-01T06:59:59", "America/Los_Angeles", date(2026, 6, 30)),  # summer time: an hour earlier
        ("2026-07-01T07:00:00", "America/Los_Angeles", date(2026, 7, 1)),
        ("2026-03-01T10:14:59", "Pacific/Chatham", MARCH_1),  # 13 hours 45 minutes ahead
        ("2026-03-01T10:15:00", "Pacific/Chatham", MARCH_2),
    ],
)
def test_the_local_day(utc: str, zone: str, day: date) -> None:
    at = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert local_day(at, at, zone) == day
    assert moment(at, now=at, importing=True, zone=zone) == (at, day)


async def test_an_import_five_minutes_ahead_over_midnight(work_out: WorkOut, story: Story, town: str) -> None:
    """Its day is today, the day of now; its rules are those of the time that it states, which is tomorrow."""
    now = datetime(2026, 3, 1, 23, 56, tzinfo=UTC)
    stated = datetime(2026, 3, 2, 0, 1, tzinfo=UTC)
    assert local_day(stated, now, "UTC") == MARCH_1
    assert moment(stated, now=now, importing=True, zone="UTC") == (stated, MARCH_1)
    versions = [Version("acme", None, datetime(2026, 3, 2, tzinfo=UTC), CHEAP)]
    ahead = story.published("ana", town, at=stated, recorded_at=now, local_day=MARCH_1)
    scores = await work_out([ahead], versions)
    assert scores.day_scores == {("acme", "ana", town): {MARCH_1: 3}}
    assert scores.points == {("acme", "ana", town): 4}
