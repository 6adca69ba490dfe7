"""Sharing: the code, the target, the tree."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.content import post, share
from services.content.share import FOLD, Arrival, CodeTaken, Share, State, Wanted
from services.content.standing import CommunityStatus, Standing
from shared.errors import Conflict, Forbidden, Invalid
from tests.content.facts import (
    CODE,
    MEMBER,
    NOW,
    POST,
    PUBLISHED,
    RUNNERS,
    SHARE,
    STRANGER,
    hidden,
    member,
    published,
    removed,
    shared,
)
from tests.support.gwt import given

ABOVE = "7K3M9Q2X"
WANTED = Wanted(target_kind="post", target=POST, channel="weibo", parent=None, occurred_at=None)
OF_POST = post.FOLD.of([PUBLISHED])


def sharing(
    standing: Standing = MEMBER,
    *,
    of_post: post.State = OF_POST,
    named: State | None = None,
    arrival: Arrival | None = None,
    importing: bool = False,
    **changes: Any,
) -> Any:
    """`named`: the share whose code is given as the parent."""
    wanted = msgspec.structs.replace(WANTED, parent=ABOVE if named is not None else None, **changes)
    command = Share(share=SHARE, code=CODE, sharer="bo", wanted=wanted, importing=importing, now=NOW)
    target = of_post if wanted.target_kind == "post" else None
    return lambda state: share.share(command, standing, state, target=target, parent=named, arrival=arrival)


def above(**changes: Any) -> State:
    return FOLD.of([shared(code=ABOVE, sharer="ana", **changes)])


def arrived(ago: timedelta) -> Arrival:
    return Arrival(code=ABOVE, occurred_at=NOW - ago)


def test_a_member_shares_a_post() -> None:
    given(FOLD).when(sharing()).then(shared())


@pytest.mark.parametrize("kind", ["product", "campaign"])
def test_what_other_services_own_is_taken_as_given(kind: str) -> None:
    given(FOLD).when(sharing(target_kind=kind, target="sku 4711")).then(shared(target_kind=kind, target="sku 4711"))


def test_a_community_is_shared_in_itself() -> None:
    given(FOLD).when(sharing(target_kind="community", target=RUNNERS)).then(
        shared(target_kind="community", target=RUNNERS)
    )
    given(FOLD).when(sharing(target_kind="community", target=POST)).then_refused(Invalid, "target-not-found")


def test_a_post_is_shared_where_it_stands() -> None:
    elsewhere = post.FOLD.of([published(community="0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6aff")])
    for nowhere in (post.FOLD.initial, elsewhere):
        given(FOLD).when(sharing(of_post=nowhere)).then_refused(Invalid, "target-not-found")
    for withdrawn, reason in ((removed(), "post-removed"), (hidden(), "post-hidden")):
        given(FOLD).when(sharing(of_post=post.FOLD.of([PUBLISHED, withdrawn]))).then_refused(Conflict, reason)


def test_only_members_of_an_open_community_share() -> None:
    given(FOLD).when(sharing(STRANGER)).then_refused(Forbidden, "not-a-member")
    given(FOLD).when(sharing(member(status=CommunityStatus.DRAFT))).then_refused(Conflict, "community-not-launched")


def test_a_code_belongs_to_one_share() -> None:
    with pytest.raises(CodeTaken):
        sharing()(FOLD.of([shared(sharer="cy")]))


def test_the_parent_that_is_named_holds() -> None:
    later = Arrival(code="99999999", occurred_at=NOW)
    given(FOLD).when(sharing(named=above(), arrival=later)).then(shared(parent=ABOVE))


def test_a_named_parent_is_another_s_share_in_the_organization() -> None:
    for nowhere in (FOLD.initial, above(organization="umbrella")):
        given(FOLD).when(sharing(named=nowhere)).then_refused(Invalid, "parent-not-found")
    own = FOLD.of([shared(code=ABOVE)])
    given(FOLD).when(sharing(named=own)).then_refused(Invalid, "parent-is-own")


@pytest.mark.parametrize(
    ("ago", "parent"),
    [
        (timedelta(0), ABOVE),
        (timedelta(days=30), ABOVE),
        (timedelta(days=30, microseconds=1), None),
        (timedelta(microseconds=-1), None),
    ],
)
def test_without_a_name_the_last_visit_of_thirty_days_holds(ago: timedelta, parent: str | None) -> None:
    given(FOLD).when(sharing(arrival=arrived(ago))).then(shared(parent=parent))


def test_an_import_states_when_it_was() -> None:
    long_ago = datetime(2010, 7, 28, 17, 0, tzinfo=UTC)
    given(FOLD).when(sharing(occurred_at=long_ago, importing=True, arrival=arrived(timedelta(days=1)))).then(
        shared(occurred_at=long_ago, local_day=date(2010, 7, 29))
    )
    given(FOLD).when(sharing(occurred_at=long_ago)).then_refused(Forbidden, "occurred-at-not-allowed")
