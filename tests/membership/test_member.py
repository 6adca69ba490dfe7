"""Joining, leaving, returning."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from services.membership.events import MemberJoined
from services.membership.member import FOLD, Join, Leave, join, leave, start
from shared.errors import Conflict, Forbidden, Invalid
from tests.membership.facts import DRAFT, FOUNDED_AT, JOIN, NOW, OPEN, TODAY, joined, left
from tests.support.gwt import given

OWNER = joined(
    "ana",
    community_status="draft",
    roles=("owner", "member"),
    occurred_at=FOUNDED_AT,
    local_day=date(2026, 3, 1),
)


def joining(**changes: Any) -> Join:
    command = Join(
        person="bo",
        join=JOIN,
        invitation=None,
        share_code=None,
        inviter=None,
        touchpoint=None,
        referral="none",
        referrer=None,
        occurred_at=None,
        importing=False,
        now=NOW,
    )
    return msgspec.structs.replace(command, **changes)


def leaving(person: str = "bo", now: datetime = NOW) -> Leave:
    return Leave(person=person, now=now)


def test_the_founder_is_owner_and_first_member_of_the_draft() -> None:
    given(FOLD).when(lambda _: start(DRAFT, join=JOIN, referral="none", referrer=None)).then(OWNER)


def test_a_person_joins() -> None:
    given(FOLD).when(lambda state: join(joining(), OPEN, state)).then(joined())


def test_joining_twice_changes_nothing() -> None:
    given(FOLD, joined()).when(lambda state: join(joining(), OPEN, state)).then_nothing_happens()


def test_the_owner_joining_a_draft_changes_nothing() -> None:
    given(FOLD, OWNER).when(lambda state: join(joining(person="ana"), DRAFT, state)).then_nothing_happens()


def test_nobody_joins_a_draft() -> None:
    given(FOLD).when(lambda state: join(joining(), DRAFT, state)).then_refused(Conflict, "community-not-launched")


def test_who_left_returns_and_it_is_not_the_first_time() -> None:
    given(FOLD, joined(), left()).when(lambda state: join(joining(), OPEN, state)).then(
        joined(first_in_community=False)
    )


def test_an_import_states_when_somebody_joined_also_before_the_founding() -> None:
    long_ago = datetime(2010, 7, 28, 17, 0, tzinfo=UTC)
    given(FOLD).when(lambda state: join(joining(occurred_at=long_ago, importing=True), OPEN, state)).then(
        joined(occurred_at=long_ago, local_day=date(2010, 7, 29))
    )


def test_a_person_does_not_state_when_it_joined() -> None:
    given(FOLD).when(lambda state: join(joining(occurred_at=NOW), OPEN, state)).then_refused(
        Forbidden, "occurred-at-not-allowed"
    )


def test_nobody_joins_in_the_future() -> None:
    ahead = NOW + timedelta(minutes=6)
    given(FOLD).when(lambda state: join(joining(occurred_at=ahead, importing=True), OPEN, state)).then_refused(
        Invalid, "occurred-at-in-future"
    )


def test_a_member_leaves_within_probation() -> None:
    given(FOLD, joined()).when(lambda state: leave(leaving(), OPEN, state)).then(left())


def test_probation_ends_to_the_microsecond() -> None:
    last = NOW + timedelta(days=7, microseconds=-1)
    member = given(FOLD, joined())
    member.when(lambda state: leave(leaving(now=last), OPEN, state)).then(
        left(occurred_at=last, local_day=date(2026, 3, 9))
    )
    over = NOW + timedelta(days=7)
    member.when(lambda state: leave(leaving(now=over), OPEN, state)).then(
        left(occurred_at=over, local_day=date(2026, 3, 9), within_probation=False)
    )


def test_leaving_twice_changes_nothing() -> None:
    given(FOLD, joined(), left()).when(lambda state: leave(leaving(), OPEN, state)).then_nothing_happens()


def test_a_returned_member_leaves_the_second_membership() -> None:
    back = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)
    again = joined(first_in_community=False, occurred_at=back, local_day=date(2026, 3, 5))
    given(FOLD, joined(), left(), again).when(lambda state: leave(leaving(now=back), OPEN, state)).then(
        left(first_in_community=False, joined_at=back, occurred_at=back, local_day=date(2026, 3, 5))
    )


def test_a_stranger_cannot_leave() -> None:
    given(FOLD).when(lambda state: leave(leaving(), OPEN, state)).then_refused(Forbidden, "not-a-member")


def test_the_owner_cannot_leave() -> None:
    given(FOLD, OWNER).when(lambda state: leave(leaving("ana"), OPEN, state)).then_refused(
        Conflict, "owner-cannot-leave"
    )


def test_today_is_the_community_s() -> None:
    fact = join(joining(), OPEN, FOLD.initial)[0]
    assert isinstance(fact, MemberJoined)
    assert fact.local_day == TODAY
