"""Removing, hiding, and taking that back."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given as any_given
from hypothesis import strategies as st

from services.content import withdrawal
from services.content.events import PostFact
from services.content.post import FOLD, Post, State
from services.content.publishing import publish
from services.content.standing import CommunityStatus, Standing
from services.content.withdrawal import Hide, Remove, Restore, Unhide
from shared.commands.recorded import Recorded
from shared.errors import Forbidden, NotFound, PreconditionFailed, Refusal
from tests.content.facts import (
    ADMIN,
    DRAFT,
    MEMBER,
    NOW,
    OWNER,
    PUBLISHED,
    STRANGER,
    TODAY,
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

LATER = NOW + timedelta(hours=1)


def remove(person: str, standing: Standing, *, version: int = 1, expected: int = 1, now: datetime = NOW) -> Any:
    command = Remove(person=person, expected=expected, now=now)
    return lambda state: withdrawal.remove(command, standing, state, version=version)


def restore(person: str, standing: Standing) -> Any:
    return lambda state: withdrawal.restore(Restore(person=person, now=NOW), standing, state)


def hide(person: str, standing: Standing) -> Any:
    return lambda state: withdrawal.hide(Hide(person=person, now=NOW), standing, state)


def unhide(person: str, standing: Standing) -> Any:
    return lambda state: withdrawal.unhide(Unhide(person=person, now=NOW), standing, state)


@pytest.mark.parametrize("standing", [MEMBER, STRANGER])
def test_the_author_removes_also_after_leaving(standing: Standing) -> None:
    given(FOLD, PUBLISHED).when(remove("bo", standing)).then(removed())


@pytest.mark.parametrize("standing", [OWNER, ADMIN])
def test_staff_removes(standing: Standing) -> None:
    given(FOLD, PUBLISHED).when(remove("ana", standing)).then(removed("ana"))


@pytest.mark.parametrize("standing", [MEMBER, STRANGER])
def test_nobody_else_removes(standing: Standing) -> None:
    given(FOLD, PUBLISHED).when(remove("cy", standing)).then_refused(Forbidden, "not-the-author")


def test_a_removal_tells_the_act_it_takes_back() -> None:
    act = published(occurred_at=datetime(2010, 7, 28, 17, 0, tzinfo=UTC), local_day=date(2010, 7, 29))
    given(FOLD, act).when(remove("bo", MEMBER, now=LATER)).then(
        removed(
            act_occurred_at=datetime(2010, 7, 28, 17, 0, tzinfo=UTC),
            act_local_day=date(2010, 7, 29),
            occurred_at=LATER,
            local_day=TODAY,
        )
    )


def test_a_removal_of_another_version_is_refused() -> None:
    post = given(FOLD, PUBLISHED, edited(draft(body="At six.")))
    post.when(remove("bo", MEMBER, version=2)).then_refused(PreconditionFailed, "version-changed")


@pytest.mark.parametrize("expected", [1, 2])
def test_removing_what_is_removed_changes_nothing(expected: int) -> None:
    post = given(FOLD, PUBLISHED, removed())
    post.when(remove("bo", MEMBER, version=2, expected=expected)).then_nothing_happens()


def test_the_author_restores_what_the_author_removed_and_nobody_else_does() -> None:
    post = given(FOLD, PUBLISHED, removed("bo"))
    post.when(restore("bo", MEMBER)).then(restored("bo"))
    post.when(restore("ana", OWNER)).then_refused(Forbidden, "removed-by-author")
    post.when(restore("cy", MEMBER)).then_refused(Forbidden, "not-the-author")
    post.when(restore("bo", STRANGER)).then_refused(Forbidden, "not-a-member")


def test_staff_restores_what_staff_removed_and_the_author_does_not() -> None:
    post = given(FOLD, PUBLISHED, removed("ana"))
    post.when(restore("bo", MEMBER)).then_refused(Forbidden, "removed-by-staff")
    for person, standing in (("ana", OWNER), ("eve", ADMIN), ("bo", ADMIN)):
        post.when(restore(person, standing)).then(restored(person))


def test_restoring_what_is_not_removed_changes_nothing() -> None:
    for post in (
        given(FOLD, PUBLISHED),
        given(FOLD, PUBLISHED, removed(), restored()),
        given(FOLD, PUBLISHED, hidden()),
    ):
        post.when(restore("bo", MEMBER)).then_nothing_happens()


def test_only_staff_hides() -> None:
    post = given(FOLD, PUBLISHED)
    for standing in (OWNER, ADMIN):
        post.when(hide("ana", standing)).then(hidden())
    for standing, reason in ((MEMBER, "role-missing"), (STRANGER, "not-a-member")):
        post.when(hide("ana", standing)).then_refused(Forbidden, reason)
        post.when(unhide("ana", standing)).then_refused(Forbidden, reason)


def test_hiding_twice_changes_nothing() -> None:
    given(FOLD, PUBLISHED, hidden()).when(hide("ana", OWNER)).then_nothing_happens()
    given(FOLD, PUBLISHED).when(unhide("ana", OWNER)).then_nothing_happens()


def test_in_a_retired_community_posts_are_still_withdrawn_and_restored() -> None:
    retired = member(status=CommunityStatus.RETIRED, roles=("owner",))
    given(FOLD, PUBLISHED).when(hide("ana", retired)).then(hidden())
    given(FOLD, PUBLISHED, hidden()).when(unhide("ana", retired)).then(unhidden())
    given(FOLD, PUBLISHED).when(remove("ana", retired)).then(removed("ana"))
    given(FOLD, PUBLISHED, removed("ana")).when(restore("ana", retired)).then(restored("ana"))


def test_two_reasons_make_one_withdrawal() -> None:
    given(FOLD, PUBLISHED, hidden()).when(remove("bo", MEMBER)).then(removed(withdraws=False))
    given(FOLD, PUBLISHED, removed()).when(hide("ana", OWNER)).then(hidden(withdraws=False))
    both = given(FOLD, PUBLISHED, hidden(), removed(withdraws=False))
    both.when(unhide("ana", OWNER)).then(unhidden(restores=False))
    both.when(restore("bo", MEMBER)).then(restored(restores=False))


def test_what_never_was_is_not_withdrawn() -> None:
    for act in (remove("bo", OWNER, version=0), restore("bo", OWNER), hide("bo", OWNER), unhide("bo", OWNER)):
        given(FOLD).when(act).then_refused(NotFound, "post-not-found")


PEOPLE = {"bo": MEMBER, "ana": OWNER, "eve": ADMIN, "cy": MEMBER}
"""bo is the author."""


@any_given(
    acts=st.lists(
        st.tuples(st.sampled_from(["remove", "restore", "hide", "unhide"]), st.sampled_from(sorted(PEOPLE))),
        max_size=30,
    )
)
def test_withdrawn_and_restored_come_strictly_in_turn(acts: list[tuple[str, str]]) -> None:
    """Whoever does what in whatever order: subscribers see the post go, come back, go …, as readers do."""
    state: State = FOLD.of([PUBLISHED])
    version, told = 1, ["content.post-published.v1"]
    for act, person in acts:
        standing = PEOPLE[person]
        stood = not _post(state).withdrawn
        try:
            match act:
                case "remove":
                    facts = remove(person, standing, version=version, expected=version)(state)
                case "restore":
                    facts = restore(person, standing)(state)
                case "hide":
                    facts = hide(person, standing)(state)
                case _:
                    facts = unhide(person, standing)(state)
        except Refusal:
            continue
        state, version = FOLD.of(facts, state), version + len(facts)
        messages = [message.type for fact in facts if (message := publish(_recorded(fact, version))) is not None]
        stands = not _post(state).withdrawn
        expected = {(True, False): ["content.post-removed.v1"], (False, True): ["content.post-restored.v1"]}
        assert messages == expected.get((stood, stands), [])
        told += messages
    assert told[1::2] == ["content.post-removed.v1"] * len(told[1::2])
    assert told[2::2] == ["content.post-restored.v1"] * len(told[2::2])


def test_a_message_names_who_withdrew_the_post_and_who_restored_it() -> None:
    cases: list[tuple[PostFact, str, str]] = [
        (removed("eve"), "removed_by", "eve"),
        (hidden(), "removed_by", "ana"),
        (restored("eve"), "restored_by", "eve"),
        (unhidden(), "restored_by", "ana"),
    ]
    for fact, field, person in cases:
        message = publish(_recorded(fact, 2))
        assert message is not None
        assert getattr(message.data, field) == person
        assert (message.data.act_occurred_at, message.data.act_local_day) == (NOW, TODAY)


def _recorded(fact: PostFact, version: int) -> Recorded:
    return Recorded("post", version, "0193a5b0-0000-7000-8000-000000000001", fact, fact.occurred_at, NOW)


def _post(state: State) -> Post:
    assert isinstance(state, Post)
    return state


def test_what_was_withdrawn_stands_again_as_it_was() -> None:
    facts: list[PostFact] = [removed(), restored(), hidden(), unhidden()]
    assert _post(given(FOLD, PUBLISHED, *facts).state) == Post(published=PUBLISHED, draft=DRAFT)
