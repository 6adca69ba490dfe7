"""What an order owes, by tables worked by hand; and that any way through its refunds books the same in the end."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uuid_utils import uuid7

from services.scoring.commission import Cause, Order, booked, entry_id
from services.scoring.ruleset import DEFAULT, Rules, Ruleset
from services.scoring.scorecard import Community, Scorecard

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOST = 10**12


def order(paid: int, commissionable: int | None = None, rates: Sequence[int] = (1000,)) -> Order:
    ruleset = Ruleset.of(2, 1, NOON, Rules(acts={}, commission_basis_points=list(rates), commission_hold_days=3))
    return Order(
        buyer=Scorecard("acme", "bo"),
        community=Community("c", "acme", "UTC"),
        purchase=str(uuid7()),
        order_id="A-1",
        currency="CNY",
        occurred_at=NOON,
        day=date(2026, 3, 1),
        ruleset=ruleset,
        paid=paid,
        commissionable=paid if commissionable is None else commissionable,
    )


def attribute(one: Order, *chain: str | None) -> list[tuple[str, int, int]]:
    one.chain = chain
    return _booked(one, [0] * len(one.due), None)


def refund(one: Order, amount: int) -> list[tuple[str, int, int]]:
    before = one.due
    one.refunded += amount
    return _booked(one, before, str(uuid7()))


def _booked(one: Order, before: Sequence[int], refund: str | None) -> list[tuple[str, int, int]]:
    cause = Cause(str(uuid7()), refund, NOON, date(2026, 3, 1))
    return [(entry.person, entry.level, entry.amount) for entry in booked(one, before, cause)]


def test_refunds_in_three_parts_whose_floors_differ_take_back_all_to_the_last_unit() -> None:
    # 10 % of 100, 66, 33, 0: 10, 6, 3, 0. Each third alone would round to 3 and leave 1.
    one = order(100)
    assert attribute(one, "ana") == [("ana", 1, 10)]
    assert [refund(one, part) for part in (34, 33, 33)] == [[("ana", 1, -4)], [("ana", 1, -3)], [("ana", 1, -3)]]


def test_two_floors_follow_each_other() -> None:
    # 70 × 60 / 90 = 46.7, rounded down 46; of that 3 % = 1.38 and 2.5 % = 1.15, each rounded down 1.
    one = order(90, commissionable=70, rates=(300, 250))
    assert attribute(one, "ana", "cai") == [("ana", 1, 2), ("cai", 2, 1)]
    assert refund(one, 30) == [("ana", 1, -1)]
    assert (one.net_commissionable, one.due) == (46, [1, 1])


def test_a_refund_before_the_attribution_books_nothing_and_less_is_accrued() -> None:
    one = order(1000)
    assert refund(one, 500) == []
    assert attribute(one, "ana") == [("ana", 1, 50)]
    assert refund(one, 500) == [("ana", 1, -50)]


def test_what_was_refunded_in_full_before_the_attribution_is_never_due() -> None:
    one = order(1000)
    refund(one, 1000)
    assert attribute(one, "ana") == []


def test_an_order_of_nothing_owes_nothing() -> None:
    one = order(0)
    assert (one.net_commissionable, attribute(one, "ana", "cai")) == (0, [])


def test_nobody_moves_up_to_an_empty_level_and_levels_without_a_rate_earn_nothing() -> None:
    assert attribute(order(1000, rates=(1000, 500)), None, "cai") == [("cai", 2, 50)]
    assert attribute(order(1000, rates=(1000,)), "ana", "cai") == [("ana", 1, 100)]
    assert attribute(order(1000, rates=())) == []


def test_a_change_of_less_than_a_unit_is_no_entry() -> None:
    one = order(1000)
    assert attribute(one, "ana") == [("ana", 1, 100)]
    assert [refund(one, 1) for _ in range(11)] == [[("ana", 1, -1)], *([[]] * 9), [("ana", 1, -1)]]


def test_products_beyond_64_bits_are_exact() -> None:
    one = order(MOST, commissionable=MOST - 1, rates=(9999, 1))
    assert attribute(one, "ana", "cai") == [("ana", 1, 999_899_999_999), ("cai", 2, 99_999_999)]
    assert refund(one, 1) == [("ana", 1, -1)]
    assert one.net_commissionable == MOST - 2


def test_it_is_pending_until_the_holding_days_are_over() -> None:
    assert order(100).payable_at == NOON + timedelta(days=3)


def test_an_id_of_an_entry_is_the_same_for_good_and_another_for_all_else() -> None:
    purchase, other = "0193a5b2-0c11-7d0e-8a55-5a0b6a3a9c06", "0193a5b2-0c11-7d0e-8a55-5a0b6a3a9c07"
    about = [
        ("acme", purchase, None, 1),
        ("acme", purchase, None, 2),
        ("acme", purchase, other, 1),
        ("acme", other, None, 1),
        ("zenith", purchase, None, 1),
    ]
    assert len({entry_id(*one) for one in about}) == len(about)
    assert entry_id(*about[0]) == "a97c709e-b9b1-55aa-8c08-3fe7a270d3de"


def test_the_shipped_ruleset_pays_ten_percent_after_fifteen_days() -> None:
    assert (DEFAULT.commission_basis_points, DEFAULT.commission_hold_days) == ((1000,), 15)


@given(
    st.integers(0, MOST),
    st.integers(0, 100),
    st.lists(st.integers(1, 10_000), min_size=1, max_size=2),
    st.lists(st.integers(1, 99), max_size=6),
    st.integers(0, 6),
)
def test_entries_add_up_to_what_is_due_and_a_full_refund_to_nothing(
    paid: int, percent: int, rates: list[int], parts: list[int], attributed_after: int
) -> None:
    one = order(paid, commissionable=paid * percent // 100, rates=rates)
    entries: list[tuple[str, int, int]] = []
    for place, part in enumerate([*parts, 100]):
        if place == min(attributed_after, len(parts)):
            entries += attribute(one, "ana", "cai")
        if amount := one.net_paid * part // 100:
            entries += refund(one, amount)
        if one.chain is not None:
            due = [sum(amount for _, of, amount in entries if of == level) for level in range(1, len(rates) + 1)]
            assert due == one.due
    assert one.refunded == paid
    assert one.due == [0] * len(rates)


@pytest.mark.parametrize(("paid", "refunded", "net"), [(3, 1, 0), (3, 2, 0), (7, 3, 1), (7, 6, 0)])
def test_what_is_left_of_the_commissionable_part_is_rounded_down(paid: int, refunded: int, net: int) -> None:
    one = order(paid, commissionable=min(paid, 1 + paid // 4))
    one.refunded = refunded
    assert one.net_commissionable == net
