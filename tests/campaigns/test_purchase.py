"""Recording, refunding and attributing purchases."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.campaigns.events import Line, Link
from services.campaigns.purchase import (
    FOLD,
    Attribute,
    Record,
    Refund,
    attribute,
    net_commissionable,
    record,
    refund,
)
from shared.errors import Conflict, Forbidden, Invalid, NotFound
from tests.campaigns.facts import (
    COMMUNITY,
    NOW,
    ORDER,
    PURCHASE,
    RECORDED,
    REFUND,
    RUNNERS,
    attributed,
    order,
    recorded,
    refunded,
)
from tests.support.gwt import given

LATER = NOW + timedelta(days=3)
BO = Link(level=1, person="bo", by="share_code")
ANA = Link(level=2, person="ana", by="binding")


def recording(**changes: Any) -> Record:
    command = Record(organization="acme", purchase=PURCHASE, order=ORDER, occurred_at=None, importing=False, now=NOW)
    return msgspec.structs.replace(command, **changes)


def refunding(amount_minor: int, **changes: Any) -> Refund:
    command = Refund(
        refund=REFUND, refund_id="r-1", amount_minor=amount_minor, occurred_at=None, importing=False, now=NOW
    )
    return msgspec.structs.replace(command, **changes)


def test_an_order_is_recorded() -> None:
    given(FOLD).when(lambda state: record(recording(), COMMUNITY, state)).then(RECORDED)


def test_an_order_of_nothing_is_recorded() -> None:
    free = {"lines": (), "paid_minor": 0, "commissionable_minor": 0, "share_code": None, "campaign": "spring"}
    given(FOLD).when(lambda state: record(recording(order=order(**free)), COMMUNITY, state)).then(recorded(**free))


def test_the_lines_need_not_add_up_to_what_was_paid() -> None:
    lines = (Line(product="a", quantity=2, amount_minor=7), Line(product="b", quantity=1, amount_minor=0))
    given(FOLD).when(lambda state: record(recording(order=order(lines=lines)), COMMUNITY, state)).then(
        recorded(lines=lines)
    )


def test_a_community_of_nobody_or_of_another_organization_is_not_there() -> None:
    given(FOLD).when(lambda state: record(recording(), None, state)).then_refused(NotFound, "community-not-found")
    given(FOLD).when(lambda state: record(recording(organization="umbrella"), COMMUNITY, state)).then_refused(
        NotFound, "community-not-found"
    )


def test_another_currency_is_refused() -> None:
    refusal = (
        given(FOLD)
        .when(lambda state: record(recording(order=order(currency="EUR")), COMMUNITY, state))
        .then_refused(Invalid, "currency-mismatch")
    )
    assert refusal.extras == {"currency": "CNY"}


def test_no_more_is_commissionable_than_was_paid() -> None:
    all_of_it = order(commissionable_minor=59_900)
    given(FOLD).when(lambda state: record(recording(order=all_of_it), COMMUNITY, state)).then(
        recorded(commissionable_minor=59_900)
    )
    more = order(commissionable_minor=59_901)
    given(FOLD).when(lambda state: record(recording(order=more), COMMUNITY, state)).then_refused(
        Invalid, "commissionable-above-paid"
    )


def test_an_import_states_when_it_was_bought() -> None:
    long_ago = datetime(2010, 7, 28, 17, 0, tzinfo=UTC)
    given(FOLD).when(lambda state: record(recording(occurred_at=long_ago, importing=True), COMMUNITY, state)).then(
        recorded(occurred_at=long_ago, local_day=date(2010, 7, 29))
    )
    given(FOLD).when(lambda state: record(recording(occurred_at=long_ago), COMMUNITY, state)).then_refused(
        Forbidden, "occurred-at-not-allowed"
    )
    ahead = NOW + timedelta(minutes=6)
    given(FOLD).when(lambda state: record(recording(occurred_at=ahead, importing=True), COMMUNITY, state)).then_refused(
        Invalid, "occurred-at-in-future"
    )


@pytest.mark.parametrize("facts", [[RECORDED], [RECORDED, refunded(1, 1), attributed(BO)]])
def test_the_same_order_again_changes_nothing(facts: list[Any]) -> None:
    purchase = given(FOLD, *facts)
    again = recording(purchase="0193a5b1-0c11-7d0e-8a55-5a0b6a3a9cff", now=LATER)
    purchase.when(lambda state: record(again, COMMUNITY, state)).then_nothing_happens()
    stated = msgspec.structs.replace(again, occurred_at=NOW, importing=True)
    purchase.when(lambda state: record(stated, COMMUNITY, state)).then_nothing_happens()


DIFFERENT: list[dict[str, Any]] = [
    {"buyer": "bo"},
    {"lines": ()},
    {"paid_minor": 59_901},
    {"commissionable_minor": 49_999},
    {"share_code": None},
    {"campaign": "spring"},
    {"currency": "EUR"},
]


@pytest.mark.parametrize("changes", DIFFERENT, ids=lambda changes: next(iter(changes)))
def test_an_order_id_names_one_order_for_good(changes: dict[str, Any]) -> None:
    given(FOLD, RECORDED).when(lambda state: record(recording(order=order(**changes)), COMMUNITY, state)).then_refused(
        Conflict, "order-id-used"
    )


def test_an_order_id_names_one_time_and_one_community() -> None:
    other_time = recording(occurred_at=NOW - timedelta(seconds=1), importing=True)
    given(FOLD, RECORDED).when(lambda state: record(other_time, COMMUNITY, state)).then_refused(
        Conflict, "order-id-used"
    )
    elsewhere = msgspec.structs.replace(COMMUNITY, community=RUNNERS[:-1] + "1")
    given(FOLD, RECORDED).when(lambda state: record(recording(), elsewhere, state)).then_refused(
        Conflict, "order-id-used"
    )


def test_a_purchase_is_refunded_in_parts_until_nothing_is_left() -> None:
    given(FOLD, RECORDED).when(lambda state: refund(refunding(19_900), state)).then(refunded(19_900, 19_900))
    second = refunding(40_000, refund_id="r-2", now=LATER)
    given(FOLD, RECORDED, refunded(19_900, 19_900)).when(lambda state: refund(second, state)).then(
        refunded(40_000, 59_900, refund_id="r-2", occurred_at=LATER, local_day=date(2026, 3, 5))
    )
    third = refunding(1, refund_id="r-3")
    refusal = (
        given(FOLD, RECORDED, refunded(19_900, 19_900), refunded(40_000, 59_900, refund_id="r-2"))
        .when(lambda state: refund(third, state))
        .then_refused(Conflict, "refund-above-remainder")
    )
    assert refusal.extras == {"left_minor": 0}


def test_no_more_is_refunded_than_is_left() -> None:
    purchase = given(FOLD, RECORDED, refunded(59_000, 59_000))
    refusal = purchase.when(lambda state: refund(refunding(901, refund_id="r-2"), state)).then_refused(
        Conflict, "refund-above-remainder"
    )
    assert refusal.extras == {"left_minor": 900}
    purchase.when(lambda state: refund(refunding(900, refund_id="r-2"), state)).then(
        refunded(900, 59_900, refund_id="r-2")
    )


def test_nothing_is_refunded_of_an_order_of_nothing() -> None:
    free = recorded(paid_minor=0, commissionable_minor=0)
    given(FOLD, free).when(lambda state: refund(refunding(1), state)).then_refused(Conflict, "refund-above-remainder")


def test_the_same_refund_again_changes_nothing_also_when_nothing_is_left() -> None:
    purchase = given(FOLD, RECORDED, refunded(59_900, 59_900))
    purchase.when(lambda state: refund(refunding(59_900, now=LATER), state)).then_nothing_happens()


def test_a_refund_id_names_one_refund_of_the_purchase() -> None:
    purchase = given(FOLD, RECORDED, refunded(100, 100))
    purchase.when(lambda state: refund(refunding(101), state)).then_refused(Conflict, "refund-id-used")
    another_time = refunding(100, occurred_at=LATER, importing=True, now=LATER)
    purchase.when(lambda state: refund(another_time, state)).then_refused(Conflict, "refund-id-used")


def test_an_import_states_when_a_refund_was_made() -> None:
    stated = refunding(5, occurred_at=NOW - timedelta(days=1), importing=True, now=LATER)
    given(FOLD, RECORDED).when(lambda state: refund(stated, state)).then(
        refunded(5, 5, occurred_at=NOW - timedelta(days=1), local_day=date(2026, 3, 1))
    )
    given(FOLD, RECORDED).when(
        lambda state: refund(msgspec.structs.replace(stated, importing=False), state)
    ).then_refused(Forbidden, "occurred-at-not-allowed")


def test_what_was_not_bought_is_neither_refunded_nor_attributed() -> None:
    given(FOLD).when(lambda state: refund(refunding(1), state)).then_refused(NotFound, "purchase-not-found")
    given(FOLD).when(lambda state: attribute(Attribute(chain=(), now=NOW), state)).then_refused(
        NotFound, "purchase-not-found"
    )


@pytest.mark.parametrize("chain", [(), (BO,), (BO, ANA), (ANA,)])
def test_a_purchase_is_attributed_also_after_a_refund(chain: tuple[Link, ...]) -> None:
    decide = Attribute(chain=chain, now=LATER)
    fact = attributed(*chain, occurred_at=LATER, local_day=date(2026, 3, 5))
    given(FOLD, RECORDED).when(lambda state: attribute(decide, state)).then(fact)
    given(FOLD, RECORDED, refunded(59_900, 59_900)).when(lambda state: attribute(decide, state)).then(fact)


def test_a_chain_is_fixed_once_and_for_good() -> None:
    for chain in ((), (BO,)):
        given(FOLD, RECORDED, attributed(*chain)).when(
            lambda state: attribute(Attribute(chain=(ANA,), now=LATER), state)
        ).then_nothing_happens()


@pytest.mark.parametrize(
    ("commissionable", "paid", "refunded_minor", "net"),
    [
        (50_000, 59_900, 0, 50_000),
        (50_000, 59_900, 19_900, 33_388),  # 33,388.98 …
        (50_000, 59_900, 59_899, 0),  # 0.83 …
        (50_000, 59_900, 59_900, 0),
        (100, 3, 1, 66),
        (0, 100, 50, 0),
        (0, 0, 0, 0),
        (10**12, 10**12, 1, 10**12 - 1),
        (10**12 - 1, 10**12, 1, 10**12 - 2),  # no float tells these apart
    ],
)
def test_what_is_commissionable_shrinks_with_refunds(
    commissionable: int, paid: int, refunded_minor: int, net: int
) -> None:
    assert (
        net_commissionable(commissionable_minor=commissionable, paid_minor=paid, refunded_minor=refunded_minor) == net
    )
