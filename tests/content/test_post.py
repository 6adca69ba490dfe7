"""Publishing and editing posts."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.content.post import FOLD, Edit, Publish, edit, publish
from services.content.standing import CommunityStatus
from shared.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from tests.content.facts import (
    ADMIN,
    DRAFT,
    MEMBER,
    NOW,
    OWNER,
    POST,
    PUBLISHED,
    RUNNERS,
    STRANGER,
    draft,
    edited,
    hidden,
    member,
    published,
    removed,
    restored,
    unhidden,
)
from tests.support.gwt import given

PICTURE = "https://media.example/1.jpg"
LATER = NOW + timedelta(hours=1)


def publishing(**changes: Any) -> Publish:
    command = Publish(post=POST, author="bo", kind="text", draft=DRAFT, occurred_at=None, importing=False, now=NOW)
    return msgspec.structs.replace(command, **changes)


def editing(**changes: Any) -> Edit:
    return msgspec.structs.replace(Edit(person="bo", expected=1, now=NOW), **changes)


def test_a_member_publishes() -> None:
    given(FOLD).when(lambda _: publish(publishing(), MEMBER)).then(PUBLISHED)


@pytest.mark.parametrize("kind", ["text", "question"])
def test_a_post_of_words_needs_no_media(kind: str) -> None:
    given(FOLD).when(lambda _: publish(publishing(kind=kind), MEMBER)).then(published(kind=kind))


@pytest.mark.parametrize("kind", ["image", "link", "video"])
def test_a_post_about_something_elsewhere_says_where(kind: str) -> None:
    given(FOLD).when(lambda _: publish(publishing(kind=kind), MEMBER)).then_refused(Invalid, "media-missing")
    shown = draft(media=(PICTURE,))
    given(FOLD).when(lambda _: publish(publishing(kind=kind, draft=shown), MEMBER)).then(
        published(kind=kind, draft=shown)
    )


def test_a_review_rates_and_nothing_else_does() -> None:
    given(FOLD).when(lambda _: publish(publishing(kind="review"), MEMBER)).then_refused(Invalid, "rating-missing")
    rated = draft(rating=4)
    given(FOLD).when(lambda _: publish(publishing(kind="review", draft=rated), MEMBER)).then(
        published(kind="review", draft=rated)
    )
    given(FOLD).when(lambda _: publish(publishing(draft=rated), MEMBER)).then_refused(Invalid, "rating-not-taken")


def test_a_rating_is_changed_and_not_given_to_another_kind() -> None:
    given(FOLD, published(kind="review", draft=draft(rating=4))).when(
        lambda state: edit(editing(rating=5), MEMBER, state, version=1)
    ).then(edited(draft(rating=5)))
    given(FOLD, PUBLISHED).when(lambda state: edit(editing(rating=5), MEMBER, state, version=1)).then_refused(
        Invalid, "rating-not-taken"
    )


def test_only_staff_announces() -> None:
    announcement = publishing(kind="announcement")
    given(FOLD).when(lambda _: publish(announcement, MEMBER)).then_refused(Forbidden, "role-missing")
    given(FOLD).when(lambda _: publish(announcement, OWNER)).then(published(kind="announcement"))
    given(FOLD).when(lambda _: publish(announcement, ADMIN)).then(published(kind="announcement"))


def test_a_stranger_does_not_publish() -> None:
    given(FOLD).when(lambda _: publish(publishing(), STRANGER)).then_refused(Forbidden, "not-a-member")


@pytest.mark.parametrize(
    ("status", "reason"),
    [(CommunityStatus.DRAFT, "community-not-launched"), (CommunityStatus.RETIRED, "community-retired")],
)
def test_nothing_is_published_in_a_community_that_is_not_open(status: CommunityStatus, reason: str) -> None:
    given(FOLD).when(lambda _: publish(publishing(), member(status=status))).then_refused(Conflict, reason)
    given(FOLD, PUBLISHED).when(
        lambda state: edit(editing(body="New"), member(status=status), state, version=1)
    ).then_refused(Conflict, reason)


def test_an_import_states_when_a_post_was_written() -> None:
    long_ago = datetime(2010, 7, 28, 17, 0, tzinfo=UTC)
    given(FOLD).when(lambda _: publish(publishing(occurred_at=long_ago, importing=True), MEMBER)).then(
        published(occurred_at=long_ago, local_day=date(2010, 7, 29))
    )
    ahead = NOW + timedelta(minutes=6)
    given(FOLD).when(lambda _: publish(publishing(occurred_at=ahead, importing=True), MEMBER)).then_refused(
        Invalid, "occurred-at-in-future"
    )


def test_a_person_does_not_state_when_it_wrote() -> None:
    given(FOLD).when(lambda _: publish(publishing(occurred_at=NOW), MEMBER)).then_refused(
        Forbidden, "occurred-at-not-allowed"
    )


def test_the_author_edits_what_is_given_and_leaves_the_rest() -> None:
    given(FOLD, PUBLISHED).when(lambda state: edit(editing(body="At six."), MEMBER, state, version=1)).then(
        edited(draft(body="At six."))
    )
    given(FOLD, PUBLISHED).when(
        lambda state: edit(editing(title=None, media=(PICTURE,), topics=()), MEMBER, state, version=1)
    ).then(edited(draft(title=None, media=(PICTURE,), topics=())))


def test_an_edit_starts_from_the_last_one() -> None:
    post = given(FOLD, PUBLISHED, edited(draft(body="At six.")))
    post.when(lambda state: edit(editing(title=None, expected=2), MEMBER, state, version=2)).then(
        edited(draft(body="At six.", title=None))
    )


def test_an_edit_that_changes_nothing_is_none() -> None:
    post = given(FOLD, PUBLISHED)
    post.when(lambda state: edit(editing(body=DRAFT.body), MEMBER, state, version=1)).then_nothing_happens()
    post.when(lambda state: edit(editing(), MEMBER, state, version=1)).then_nothing_happens()


def test_an_edit_does_not_take_a_picture_from_an_image() -> None:
    image = given(FOLD, published(kind="image", draft=draft(media=(PICTURE,))))
    image.when(lambda state: edit(editing(media=()), MEMBER, state, version=1)).then_refused(Invalid, "media-missing")


def test_an_edit_of_another_version_is_refused() -> None:
    post = given(FOLD, PUBLISHED, edited(draft(body="At six.")))
    post.when(lambda state: edit(editing(body="At seven."), MEMBER, state, version=2)).then_refused(
        PreconditionFailed, "version-changed"
    )


def test_nobody_else_edits_not_even_the_owner() -> None:
    given(FOLD, PUBLISHED).when(
        lambda state: edit(editing(person="ana", body="!"), OWNER, state, version=1)
    ).then_refused(Forbidden, "not-the-author")


def test_an_author_who_left_does_not_edit() -> None:
    given(FOLD, PUBLISHED).when(lambda state: edit(editing(body="!"), STRANGER, state, version=1)).then_refused(
        Forbidden, "not-a-member"
    )


@pytest.mark.parametrize("expected", [1, 2])
def test_a_post_that_does_not_stand_is_not_edited(expected: int) -> None:
    for withdrawn, reason in ((removed(), "post-removed"), (hidden(), "post-hidden")):
        given(FOLD, PUBLISHED, withdrawn).when(
            lambda state: edit(editing(body="!", expected=expected), MEMBER, state, version=2)
        ).then_refused(Conflict, reason)


def test_what_never_was_is_not_edited() -> None:
    nothing = given(FOLD)
    nothing.when(lambda state: edit(editing(), MEMBER, state, version=0)).then_refused(NotFound, "post-not-found")


def test_folding_never_fails() -> None:
    assert given(FOLD, edited(DRAFT), removed()).state == FOLD.initial
    assert given(FOLD, hidden(), restored(), unhidden()).state == FOLD.initial


def test_what_was_stored_before_there_were_two_reasons_is_read() -> None:
    stored = b"""{"organization":"acme","community":"%s","zone":"Asia/Shanghai","currency":"CNY","post":"%s","author":"bo",
        "kind":"text","removed_by":"bo","act_occurred_at":"2026-03-01T17:30:00Z","act_local_day":"2026-03-02",
        "occurred_at":"2026-03-01T17:30:00Z","local_day":"2026-03-02"}""" % (RUNNERS.encode(), POST.encode())
    assert FOLD.codec.decode("post-removed.v1", stored) == removed()
