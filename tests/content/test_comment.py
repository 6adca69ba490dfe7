"""Commenting, replying, and the floors of a post."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from services.content import comment, floors, post
from services.content.comment import FOLD, Add, Remove
from services.content.events import FloorGiven
from services.content.standing import CommunityStatus, Standing
from shared.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from tests.content.facts import (
    ADMIN,
    COMMENT,
    MEMBER,
    NOW,
    OWNER,
    POST,
    PUBLISHED,
    STRANGER,
    commented,
    hidden,
    member,
    published,
    removed,
    uncommented,
)
from tests.support.gwt import given

PARENT = "0193a5b2-0c11-7d0e-8a55-5a0b6a3a9c03"
ON_POST = post.FOLD.of([PUBLISHED])
TO_COMMENT = FOLD.of([commented(comment=PARENT)])


def adding(**changes: Any) -> Add:
    command = Add(
        comment=COMMENT, author="cy", body="I do.", parent=None, floor=1, occurred_at=None, importing=False, now=NOW
    )
    return msgspec.structs.replace(command, **changes)


def add(standing: Standing = MEMBER, on: post.State = ON_POST, to: comment.State | None = None, **changes: Any) -> Any:
    return lambda _: comment.add(adding(**changes), standing, on, to)


def remove(person: str, standing: Standing, *, expected: int = 1, version: int = 1) -> Any:
    command = Remove(person=person, expected=expected, now=NOW)
    return lambda state: comment.remove(command, standing, state, version=version)


def test_a_member_comments() -> None:
    given(FOLD).when(add(floor=7)).then(commented(floor=7))


def test_a_reply_names_its_parent() -> None:
    given(FOLD).when(add(to=TO_COMMENT, parent=PARENT, floor=2)).then(commented(parent=PARENT, floor=2))


def test_a_reply_to_a_reply_is_refused_and_told_where_to_reply() -> None:
    reply = FOLD.of([commented(comment=COMMENT, parent=PARENT)])
    refusal = given(FOLD).when(add(to=reply, parent=COMMENT)).then_refused(Invalid, "parent-is-reply")
    assert refusal.extras == {"parent": PARENT}


def test_a_reply_needs_a_comment_of_the_same_post() -> None:
    for nowhere in (FOLD.initial, FOLD.of([commented(comment=PARENT, post="0193a5b1-0c11-7d0e-8a55-5a0b6a3a9cff")])):
        given(FOLD).when(add(to=nowhere, parent=PARENT)).then_refused(Invalid, "parent-not-found")


def test_nobody_replies_to_what_was_removed() -> None:
    gone = FOLD.of([commented(comment=PARENT), uncommented()])
    given(FOLD).when(add(to=gone, parent=PARENT)).then_refused(Conflict, "comment-removed")


def test_nobody_comments_on_a_post_that_does_not_stand() -> None:
    for withdrawn, reason in ((removed(), "post-removed"), (hidden(), "post-hidden")):
        given(FOLD).when(add(on=post.FOLD.of([PUBLISHED, withdrawn]))).then_refused(Conflict, reason)
    given(FOLD).when(add(on=post.FOLD.initial)).then_refused(NotFound, "post-not-found")


def test_only_members_of_an_open_community_comment() -> None:
    given(FOLD).when(add(STRANGER)).then_refused(Forbidden, "not-a-member")
    given(FOLD).when(add(member(status=CommunityStatus.DRAFT))).then_refused(Conflict, "community-not-launched")
    given(FOLD).when(add(member(status=CommunityStatus.RETIRED))).then_refused(Conflict, "community-retired")


def test_an_import_states_when_it_was() -> None:
    long_ago = datetime(2010, 7, 28, 17, 0, tzinfo=UTC)
    given(FOLD).when(add(occurred_at=long_ago, importing=True)).then(
        commented(occurred_at=long_ago, local_day=date(2010, 7, 29))
    )
    given(FOLD).when(add(occurred_at=long_ago)).then_refused(Forbidden, "occurred-at-not-allowed")


def test_the_author_removes_also_after_leaving_and_staff_does() -> None:
    added = given(FOLD, commented())
    for person, standing in (("cy", MEMBER), ("cy", STRANGER), ("ana", OWNER), ("eve", ADMIN)):
        added.when(remove(person, standing)).then(uncommented(person))
    for person, standing in (("bo", MEMBER), ("bo", STRANGER)):
        added.when(remove(person, standing)).then_refused(Forbidden, "not-the-author")


def test_a_removal_names_the_version_and_is_repeated_at_will() -> None:
    given(FOLD, commented()).when(remove("cy", MEMBER, expected=2)).then_refused(PreconditionFailed, "version-changed")
    for expected in (1, 2):
        gone = given(FOLD, commented(), uncommented())
        gone.when(remove("cy", MEMBER, expected=expected, version=2)).then_nothing_happens()
    given(FOLD).when(remove("cy", OWNER, version=0)).then_refused(NotFound, "comment-not-found")


def test_folding_never_fails() -> None:
    assert given(FOLD, uncommented()).state == FOLD.initial


@pytest.mark.parametrize("given_before", [0, 1, 99, 100, 250])
def test_floors_are_given_one_by_one(given_before: int) -> None:
    def floor(number: int) -> FloorGiven:
        return FloorGiven(post=POST, comment=COMMENT, floor=number, occurred_at=NOW)

    stream = given(floors.FOLD, *(floor(number) for number in range(1, given_before + 1)))
    stream.when(lambda state: floors.give(state, post=POST, comment=COMMENT, now=NOW)).then(floor(given_before + 1))


def test_the_zone_of_a_comment_is_that_of_its_post() -> None:
    """Later changes of a setting never move what hangs together."""
    on = post.FOLD.of([published(zone="America/New_York")])
    (added,) = comment.add(adding(), MEMBER, on, None)
    assert (added.zone, added.local_day) == ("America/New_York", date(2026, 3, 1))
