"""Who stands in the chain of a purchase: worked by hand, for whoever compares campaigns with the oracle."""

from datetime import datetime, timedelta
from typing import Any

from tests.oracle.chains import chain
from tests.oracle.oracle import Fact
from tests.scoring.story import NOON

SECOND = timedelta(seconds=1)
INSTANT = timedelta(microseconds=1)
DAY = timedelta(days=1)


def joined(person: str, referrer: str | None = None, *, recorded_at: datetime = NOON - DAY, **other: Any) -> Fact:
    bound = {"referral": "none" if referrer is None else "bound", "referrer": referrer}
    own = {"type": "membership.member-joined.v1", "organization": "acme", "person": person}
    return own | bound | {"occurred_at": recorded_at, "recorded_at": recorded_at} | other


def settled(person: str, referrer: str, *, joined_recorded_at: datetime, recorded_at: datetime) -> Fact:
    own = {"type": "membership.referral-bound.v1", "organization": "acme", "person": person, "referrer": referrer}
    return own | {"joined_recorded_at": joined_recorded_at, "recorded_at": recorded_at}


def shared(sharer: str, code: str = "7K3M9Q2X", *, at: datetime = NOON - DAY, **other: Any) -> Fact:
    own = {"type": "content.content-shared.v1", "organization": "acme", "sharer": sharer, "code": code}
    return own | {"occurred_at": at, "recorded_at": at} | other


def bought(buyer: str, share_code: str | None = None, *, at: datetime = NOON, **other: Any) -> Fact:
    own = {"type": "campaigns.purchase-recorded.v1", "organization": "acme", "buyer": buyer, "share_code": share_code}
    return own | {"occurred_at": at, "recorded_at": at} | other


def told(purchase: Fact, *history: Fact) -> list[str]:
    """The chain as `level person by`."""
    links = chain(purchase, history)
    assert links == chain(purchase, reversed(history))  # the order in which facts are delivered is nothing to it
    return [f"{link['level']} {link['person']} {link['by']}" for link in links]


def test_the_bound_referrer_and_the_referrer_of_that_one() -> None:
    history = joined("ana"), joined("bo", "ana"), joined("cai", "bo"), joined("dee", "cai")
    assert told(bought("dee"), *history) == ["1 cai binding", "2 bo binding"]
    assert told(bought("bo"), *history) == ["1 ana binding"]
    assert told(bought("ana"), *history) == []
    assert told(bought("somebody who is no member"), *history) == []


def test_a_code_comes_before_the_binding() -> None:
    history = joined("ana"), joined("bo", "ana"), joined("dee", "cai"), shared("bo")
    assert told(bought("dee", "7K3M9Q2X"), *history) == ["1 bo share_code", "2 ana binding"]
    assert told(bought("somebody who is no member", "7K3M9Q2X"), *history) == ["1 bo share_code", "2 ana binding"]


def test_a_code_that_nobody_made_or_another_organization_is_no_code() -> None:
    history = joined("dee", "cai"), shared("bo", organization="rivals")
    assert told(bought("dee", "7K3M9Q2X"), *history) == ["1 cai binding"]
    assert told(bought("dee", "00000000"), *history) == ["1 cai binding"]


def test_the_buyers_own_code_is_as_no_code() -> None:
    history = joined("dee", "cai"), joined("cai", "bo"), shared("dee")
    assert told(bought("dee", "7K3M9Q2X"), *history) == ["1 cai binding", "2 bo binding"]


def test_a_buyer_in_the_own_chain_leaves_the_level_empty() -> None:
    """Bo was brought by dee and shares something; dee buys through it. Ana, who brought dee, does not move up."""
    history = joined("dee", "ana"), joined("bo", "dee"), shared("bo")
    assert told(bought("dee", "7K3M9Q2X"), *history) == ["1 bo share_code"]


def test_a_code_counts_for_thirty_days_of_the_time_of_the_purchase() -> None:
    history = joined("dee", "cai"), shared("bo", at=NOON - 30 * DAY)
    assert told(bought("dee", "7K3M9Q2X"), *history) == ["1 bo share_code"]
    assert told(bought("dee", "7K3M9Q2X", at=NOON + INSTANT), *history) == ["1 cai binding"]
    imported = bought("dee", "7K3M9Q2X", at=NOON + 99 * DAY, occurred_at=NOON)
    assert told(imported, *history) == ["1 bo share_code"]


def test_a_code_made_after_the_purchase_occurred_is_no_code() -> None:
    history = joined("dee", "cai"), shared("bo", at=NOON)
    assert told(bought("dee", "7K3M9Q2X", occurred_at=NOON), *history) == ["1 bo share_code"]
    assert told(bought("dee", "7K3M9Q2X", occurred_at=NOON - INSTANT), *history) == ["1 cai binding"]


def test_what_was_recorded_two_seconds_after_the_purchase_is_known() -> None:
    for recorded_at, known in ((NOON + 2 * SECOND, True), (NOON + 2 * SECOND + INSTANT, False)):
        bound = joined("dee", "cai", recorded_at=recorded_at)
        assert told(bought("dee"), bound, joined("cai")) == (["1 cai binding"] if known else [])
        above = joined("cai", "bo", recorded_at=recorded_at)
        assert told(bought("dee"), joined("dee", "cai"), above) == ["1 cai binding", "2 bo binding"][: 1 + known]
        share = shared("bo", at=NOON, recorded_at=recorded_at)
        assert told(bought("dee", "7K3M9Q2X"), share) == (["1 bo share_code"] if known else [])


def test_what_counts_is_when_a_binding_was_recorded_not_when_it_occurred() -> None:
    """An import of last century's purchases, after its members had joined."""
    long_ago = datetime.fromisoformat("1997-01-01T00:00:00Z")
    imported = bought("dee", occurred_at=long_ago)
    assert told(imported, joined("dee", "cai", occurred_at=long_ago + DAY)) == ["1 cai binding"]
    late = joined("dee", "cai", occurred_at=long_ago, recorded_at=NOON + 3 * SECOND)
    assert told(imported, late) == []


def test_a_pending_join_counts_from_when_it_was_recorded_once_it_is_settled() -> None:
    pending = joined("dee", referral="pending", referrer=None)
    later = NOON + DAY
    assert told(bought("dee"), pending) == []
    assert told(bought("dee"), pending, settled("dee", "cai", joined_recorded_at=NOON - DAY, recorded_at=later)) == [
        "1 cai binding"
    ]
    absent = {"type": "membership.referral-absent.v1", "organization": "acme", "person": "dee", "recorded_at": later}
    assert told(bought("dee"), pending, absent) == []
    # Of two pending joins the first binds nobody, the second, after the purchase, does.
    second = settled("dee", "cai", joined_recorded_at=NOON + 3 * SECOND, recorded_at=later)
    assert told(bought("dee"), pending, absent, second) == []


def test_later_joins_repeat_the_binding_and_move_nothing() -> None:
    history = joined("dee"), joined("dee", "cai"), joined("dee", "cai", recorded_at=NOON + DAY)
    assert told(bought("dee"), *history) == ["1 cai binding"]
