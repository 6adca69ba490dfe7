"""Reacting, and taking it back."""

from datetime import UTC, date, datetime
from typing import Any, get_args

import msgspec
import pytest

from services.content import comment, post, reaction
from services.content.reaction import FOLD, React, Reactions, Withdraw
from services.content.standing import CommunityStatus, Standing
from shared.errors import Conflict, Forbidden, NotFound
from tests.content.facts import (
    COMMENT,
    MEMBER,
    NOW,
    PUBLISHED,
    REACTION,
    STRANGER,
    commented,
    hidden,
    member,
    reacted,
    removed,
    uncommented,
    unreacted,
)
from tests.support.gwt import given

ON_POST = post.FOLD.of([PUBLISHED])
ON_COMMENT = comment.FOLD.of([commented()])


def react(
    standing: Standing = MEMBER, on: post.State = ON_POST, to: comment.State | None = None, **changes: Any
) -> Any:
    command = React(reaction=REACTION, person="cy", kind="like", occurred_at=None, importing=False, now=NOW)
    command = msgspec.structs.replace(command, **changes)
    return lambda state: reaction.react(command, standing, on, to, state)


def withdraw(kind: str = "like") -> Any:
    return lambda state: reaction.withdraw(Withdraw(kind=kind, now=NOW), state)


def test_a_member_reacts_to_a_post() -> None:
    given(FOLD).when(react()).then(reacted())


def test_a_member_reacts_to_a_comment() -> None:
    given(FOLD).when(react(to=ON_COMMENT, person="bo")).then(
        reacted(target_kind="comment", target=COMMENT, target_author="cy", person="bo")
    )


def test_to_something_of_ones_own_it_does_not_count() -> None:
    given(FOLD).when(react(person="bo")).then(reacted(person="bo", counts=False))
    given(FOLD).when(react(to=ON_COMMENT)).then(
        reacted(target_kind="comment", target=COMMENT, target_author="cy", counts=False)
    )


def test_one_of_each_kind_stands() -> None:
    given(FOLD, reacted()).when(react(reaction="another")).then_nothing_happens()
    given(FOLD, reacted()).when(react(kind="love")).then(reacted(kind="love"))


def test_it_is_taken_back_and_given_again_as_another_one() -> None:
    given(FOLD, reacted()).when(withdraw()).then(unreacted())
    given(FOLD, reacted(), unreacted()).when(react(reaction="another")).then(reacted(reaction="another"))
    given(FOLD, reacted(counts=False)).when(withdraw()).then(unreacted(counts=False))


def test_what_does_not_stand_is_not_taken_back() -> None:
    given(FOLD).when(withdraw()).then_nothing_happens()
    given(FOLD, reacted()).when(withdraw("love")).then_nothing_happens()
    given(FOLD, reacted(), unreacted()).when(withdraw()).then_nothing_happens()


def test_the_other_kinds_stay() -> None:
    state = given(FOLD, reacted(), reacted(kind="love"), unreacted()).state
    assert state == Reactions({"love": reacted(kind="love")})


def test_nobody_reacts_to_what_does_not_stand() -> None:
    for withdrawn, reason in ((removed(), "post-removed"), (hidden(), "post-hidden")):
        gone = post.FOLD.of([PUBLISHED, withdrawn])
        given(FOLD).when(react(on=gone)).then_refused(Conflict, reason)
        given(FOLD).when(react(on=gone, to=ON_COMMENT)).then_refused(Conflict, reason)
    given(FOLD).when(react(to=comment.FOLD.of([commented(), uncommented()]))).then_refused(Conflict, "comment-removed")
    given(FOLD).when(react(on=post.FOLD.initial)).then_refused(NotFound, "post-not-found")
    given(FOLD).when(react(to=comment.FOLD.initial)).then_refused(NotFound, "comment-not-found")


def test_only_members_of_an_open_community_react() -> None:
    given(FOLD).when(react(STRANGER)).then_refused(Forbidden, "not-a-member")
    given(FOLD).when(react(member(status=CommunityStatus.RETIRED))).then_refused(Conflict, "community-retired")


def test_an_import_states_when_it_was() -> None:
    long_ago = datetime(2010, 7, 28, 17, 0, tzinfo=UTC)
    given(FOLD).when(react(occurred_at=long_ago, importing=True)).then(
        reacted(occurred_at=long_ago, local_day=date(2010, 7, 29))
    )


@pytest.mark.parametrize("kind", get_args(reaction.Kind))
def test_a_withdrawal_tells_the_act_it_takes_back(kind: str) -> None:
    act = reacted(kind=kind, occurred_at=datetime(2010, 7, 28, 17, 0, tzinfo=UTC), local_day=date(2010, 7, 29))
    given(FOLD, act).when(withdraw(kind)).then(
        msgspec.structs.replace(
            unreacted(kind=kind),
            act_occurred_at=datetime(2010, 7, 28, 17, 0, tzinfo=UTC),
            act_local_day=date(2010, 7, 29),
        )
    )
