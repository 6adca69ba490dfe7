"""Buying on the whole running system: accepted at once, attributed in the background."""

import time

import pytest

from tests.system.callers import FOUNDING, Callers

pytestmark = pytest.mark.postgres

PURCHASES = "/campaigns/v1/purchases"


def test_a_purchase_of_somebody_whom_nobody_referred_is_attributed_to_nobody(callers: Callers) -> None:
    founded = callers.send("POST", "/membership/v1/communities", "ana", json=FOUNDING)
    order = {
        "community": founded.json()["id"],
        "order_id": "o-1",
        "buyer": "zoe",
        "paid_minor": 59_900,
        "currency": "CNY",
    }
    bought = callers.send(
        "POST",
        PURCHASES,
        "shop",
        scope="purchases:write",
        json=order,
        headers={"Consistency-Token": founded.headers["consistency-token"]},
    )
    assert bought.status_code == 201, bought.text
    path = bought.headers["location"]
    refund = {"refund_id": "r-1", "amount_minor": 29_950}
    assert callers.send("POST", f"{path}/refunds", "shop", scope="purchases:write", json=refund).status_code == 201
    deadline = time.monotonic() + 20
    while (seen := callers.send("GET", path, "zoe").json())["attribution"] == "pending":
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)
    assert (seen["chain"], seen["refunded_minor"], seen["version"]) == ([], 29_950, 3)
