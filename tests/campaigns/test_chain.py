"""Who is credited for a purchase: every rule with its borders, worked by hand."""

from datetime import timedelta

import pytest

from services.campaigns.chain import OPEN, Share, first_link, second_link
from services.campaigns.events import Link
from tests.campaigns.facts import NOW, RECORDED

DAY = timedelta(days=1)
LEAST = timedelta(microseconds=1)
BY_CODE = Link(level=1, person="bo", by="share_code")
BY_BINDING = Link(level=1, person="ana", by="binding")


def share(sharer: str = "bo", *, age: timedelta = DAY, organization: str = "acme") -> Share:
    """Of the code of cy's purchase, so long before it occurred."""
    return Share(organization=organization, sharer=sharer, occurred_at=NOW - age)


@pytest.mark.parametrize("age", [timedelta(0), LEAST, DAY, 30 * DAY - LEAST, 30 * DAY])
def test_a_code_of_up_to_thirty_days_counts_before_the_binding(age: timedelta) -> None:
    for referrer in ("ana", None, OPEN):
        assert first_link(RECORDED, share(age=age), referrer) == BY_CODE


@pytest.mark.parametrize(
    "no_code",
    [
        None,
        share(age=30 * DAY + LEAST),
        share(age=31 * DAY),
        share(age=-LEAST),
        share("cy"),
        share(organization="umbrella"),
    ],
    ids=["unknown", "30 days and a bit", "31 days", "in the future", "the buyer's own", "of another organization"],
)
def test_without_a_code_that_counts_the_binding_decides(no_code: Share | None) -> None:
    assert first_link(RECORDED, no_code, "ana") == BY_BINDING
    assert first_link(RECORDED, no_code, None) is None
    assert first_link(RECORDED, no_code, OPEN) is OPEN


def test_as_long_as_the_code_may_come_nothing_is_decided() -> None:
    for referrer in ("ana", None, OPEN):
        assert first_link(RECORDED, OPEN, referrer) is OPEN


def test_a_buyer_is_never_in_the_own_chain() -> None:
    assert first_link(RECORDED, None, "cy") is None
    assert second_link(RECORDED, BY_CODE, "cy") is None


def test_a_person_stands_once_and_nobody_moves_up() -> None:
    assert second_link(RECORDED, BY_CODE, "bo") is None
    assert second_link(RECORDED, BY_CODE, None) is None
    assert second_link(RECORDED, BY_CODE, "ana") == Link(level=2, person="ana", by="binding")
