"""Who becomes whose referrer: at the join, and where it had to wait."""

from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from services.membership.referral import FOLD, Refer, Referral, RootMoved, Settle, Sponsor, refer, settle
from tests.membership.facts import CODE, JOIN, NOW, RUNNERS, absent, bound, deferred, taken
from tests.support.gwt import Given, given

SECOND = "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a21"
THIRD = "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a22"
CY = Sponsor("cy", "cy")
DI = Sponsor("di", "root")
ROOTS = {"cy": Referral(), "root": Referral()}


def joining(**changes: Any) -> Refer:
    command = Refer(
        organization="acme",
        community=RUNNERS,
        zone="Asia/Shanghai",
        currency="CNY",
        person="bo",
        join=JOIN,
        sponsor=None,
        share_code=None,
        now=NOW,
    )
    return replace(command, **changes)


def settling(**sponsors: Sponsor | None) -> Settle:
    """`first`, `second` and `third` join."""
    names = {"first": JOIN, "second": SECOND, "third": THIRD}
    return Settle(person="bo", sponsors={names[name]: of for name, of in sponsors.items()}, now=NOW)


def test_the_first_inviter_becomes_the_referrer() -> None:
    person = given(FOLD)
    person.when(lambda state: refer(joining(sponsor=CY), state, ROOTS)).then(taken("cy"))
    person.when(lambda state: refer(joining(sponsor=DI, share_code=CODE), state, ROOTS)).then(taken("di"))


def test_a_join_without_inviter_binds_nobody() -> None:
    given(FOLD).when(lambda state: refer(joining(), state, {})).then_nothing_happens()


def test_a_binding_is_for_good() -> None:
    person = given(FOLD, taken("cy"))
    person.when(lambda state: refer(joining(sponsor=DI), state, ROOTS)).then_nothing_happens()
    person.when(lambda state: refer(joining(share_code=CODE), state, {})).then_nothing_happens()
    assert (person.state.status, person.state.referrer) == ("bound", "cy")


@pytest.mark.parametrize("sponsor", [Sponsor("bo", "bo"), Sponsor("di", "bo")], ids=["own code", "loop"])
def test_nobody_is_the_own_referrer_however_far_above(sponsor: Sponsor) -> None:
    person = given(FOLD)
    person.when(lambda state: refer(joining(sponsor=sponsor), state, {})).then_nothing_happens()


def test_a_root_that_got_a_referrer_meanwhile_is_read_again() -> None:
    for roots in ({"root": Referral(referrer="bo")}, {}):
        with pytest.raises(RootMoved):
            refer(joining(sponsor=DI), Referral(), roots)
    # Who is bound already does not mind.
    assert refer(joining(sponsor=DI), Referral(referrer="cy"), {"root": Referral(referrer="bo")}) == []


def test_an_unknown_share_code_defers_this_join_and_all_later_ones() -> None:
    first = deferred(share_code=CODE)
    given(FOLD).when(lambda state: refer(joining(share_code=CODE), state, {})).then(first)
    waiting = given(FOLD, first)
    assert waiting.state.status == "pending"
    for command, fact in (
        (joining(join=SECOND), deferred(SECOND)),
        (joining(join=SECOND, sponsor=CY), deferred(SECOND, inviter="cy")),
        (joining(join=SECOND, sponsor=CY, share_code=CODE), deferred(SECOND, inviter="cy", share_code=CODE)),
        (joining(join=SECOND, share_code=CODE), deferred(SECOND, share_code=CODE)),
    ):
        waiting.when(partial(refer, command, roots=ROOTS)).then(fact)


def waiting(*joins: Any) -> Given[Any, Any]:
    return given(FOLD, *joins)


def test_a_code_that_became_known_binds() -> None:
    waiting(deferred(share_code=CODE)).when(lambda state: settle(settling(first=CY), state, ROOTS)).then(bound("cy"))


@pytest.mark.parametrize(
    ("join", "sponsor", "reason"),
    [
        (deferred(share_code=CODE), None, "code-unknown"),
        (deferred(share_code=CODE), Sponsor("bo", "bo"), "own-code"),
        (deferred(share_code=CODE), Sponsor("di", "bo"), "loop"),
        (deferred(), None, "no-inviter"),
    ],
)
def test_why_a_join_binds_nobody(join: Any, sponsor: Sponsor | None, reason: str) -> None:
    waiting(join).when(lambda state: settle(settling(first=sponsor), state, ROOTS)).then(absent(reason))


def test_all_joins_are_settled_at_once_in_commit_order() -> None:
    person = waiting(deferred(share_code=CODE), deferred(SECOND, inviter="cy"), deferred(THIRD))
    person.when(lambda state: settle(settling(first=None, second=CY, third=None), state, ROOTS)).then(
        absent("code-unknown"), bound("cy", SECOND), absent("bound-already", THIRD)
    )
    # The first one that binds makes the others plain, known or not.
    person.when(lambda state: settle(settling(first=DI), state, ROOTS)).then(
        bound("di"), absent("bound-already", SECOND), absent("bound-already", THIRD)
    )


def test_an_earlier_join_that_is_not_known_yet_holds_the_later_ones() -> None:
    person = waiting(deferred(share_code=CODE), deferred(SECOND, inviter="cy"))
    person.when(lambda state: settle(settling(second=CY), state, ROOTS)).then_nothing_happens()
    person.when(lambda state: settle(settling(first=None), state, ROOTS)).then_nothing_happens()


def test_what_is_settled_is_settled_once() -> None:
    for fact in (bound("cy"), absent("code-unknown")):
        person = waiting(deferred(share_code=CODE), fact)
        person.when(lambda state: settle(settling(first=CY), state, ROOTS)).then_nothing_happens()


def test_a_settlement_reads_a_moved_root_again() -> None:
    with pytest.raises(RootMoved):
        settle(settling(first=DI), waiting(deferred(share_code=CODE)).state, {"root": Referral(referrer="bo")})


def test_after_absence_the_next_inviter_binds() -> None:
    person = waiting(deferred(share_code=CODE), absent("code-unknown"))
    assert person.state.status == "none"
    person.when(lambda state: refer(joining(join=SECOND, sponsor=CY), state, ROOTS)).then(
        replace(taken("cy"), join=SECOND)
    )
