"""Joining, leaving, returning."""

from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
from msgspec import to_builtins
from msgspec.structs import replace

from services.membership.community import Community
from services.membership.events import MemberJoined, MemberLeft, Touchpoint
from services.membership.member import FOLD, Join, Leave, join, leave, roles_of, start
from shared.errors import Conflict, Forbidden, Invalid
from tests.membership.facts import (
    CODE,
    DRAFT,
    FOUNDED,
    FOUNDED_AT,
    JOIN,
    NOW,
    OPEN,
    TODAY,
    charter,
    granted,
    joined,
    left,
    revoked,
)
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
    return replace(command, **changes)


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


def test_nobody_joins_a_draft_uninvited() -> None:
    for code in (None, CODE):
        command = joining(share_code=code)
        given(FOLD).when(partial(join, command, DRAFT)).then_refused(Conflict, "community-not-launched")


def test_seed_members_join_a_draft_by_invitation() -> None:
    given(FOLD).when(lambda state: join(joining(invitation=CODE, inviter="ana"), DRAFT, state)).then(
        joined(community_status="draft", invitation=CODE, inviter="ana")
    )


def test_a_community_by_invitation_is_not_opened_by_a_share_code() -> None:
    closed = Community(founded=replace(FOUNDED, charter=charter(entry=("invitation",))), owner="ana", launched_at=NOW)
    for code in (None, CODE):
        command = joining(share_code=code)
        given(FOLD).when(partial(join, command, closed)).then_refused(Forbidden, "invitation-required")
    invited = joining(invitation=CODE, inviter="ana")
    given(FOLD).when(lambda state: join(invited, closed, state)).then(joined(invitation=CODE, inviter="ana"))


def test_nobody_joins_with_two_codes() -> None:
    command = joining(invitation=CODE, share_code=CODE)
    given(FOLD).when(lambda state: join(command, OPEN, state)).then_refused(Invalid, "invitation-and-share-code")


def test_a_join_says_how_it_came_about() -> None:
    how: dict[str, Any] = {
        "share_code": CODE,
        "inviter": "cy",
        "touchpoint": Touchpoint(layer="owned", channel="app", scene="mobile", space="digital"),
        "referral": "bound",
        "referrer": "cy",
    }
    given(FOLD).when(lambda state: join(joining(**how), OPEN, state)).then(joined(**how))


def test_a_member_that_was_stored_before_joins_had_these_is_read() -> None:
    stored = {name: value for name, value in to_builtins(joined()).items() if name not in _SINCE}
    old = FOLD.codec.decode("member-joined.v1", msgspec.json.encode(stored))
    assert old == joined(join=None)


_SINCE = {"join", "invitation", "share_code", "inviter", "touchpoint", "referral", "referrer"}


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


def test_the_roles_of_a_member_go_with_it() -> None:
    admin = given(FOLD, joined(), granted("bo", "admin", "admin", "member"))
    assert roles_of(admin.state) == ("admin", "member")
    gone = given(FOLD, *admin.facts, left())
    assert roles_of(gone.state) == ()
    gone.when(lambda state: join(joining(), OPEN, state)).then(joined(first_in_community=False))


def test_who_became_the_owner_cannot_leave_and_who_was_it_can() -> None:
    given(FOLD, joined(), granted("bo", "owner", "owner", "member")).when(
        lambda state: leave(leaving(), OPEN, state)
    ).then_refused(Conflict, "owner-cannot-leave")
    before = given(FOLD, OWNER, revoked("ana", "owner", "member"), granted("ana", "admin", "admin", "member"))
    (fact,) = leave(leaving("ana"), OPEN, before.state)
    assert isinstance(fact, MemberLeft)


def test_today_is_the_community_s() -> None:
    fact = join(joining(), OPEN, FOLD.initial)[0]
    assert isinstance(fact, MemberJoined)
    assert fact.local_day == TODAY
