"""Each fact leaves the house as its message, under the buyer's key."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from services.campaigns.events import Link
from services.campaigns.publishing import publish
from shared.commands.recorded import Recorded
from tests.campaigns.facts import CODE, PURCHASE, RECORDED, REFUND, RUNNERS, attributed, refunded

STORED_AT = datetime(2026, 3, 1, 17, 30, 1, tzinfo=UTC)
COMMON = {
    "organization": "acme",
    "community": RUNNERS,
    "zone": "Asia/Shanghai",
    "currency": "CNY",
    "purchase": PURCHASE,
    "order_id": "o-1",
    "buyer": "cy",
    "paid_minor": 59_900,
    "commissionable_minor": 50_000,
    "occurred_at": "2026-03-01T17:30:00Z",
    "recorded_at": "2026-03-01T17:30:01Z",
    "local_day": "2026-03-02",
}
OF_ACT = {"act_occurred_at": "2026-03-01T17:30:00Z", "act_local_day": "2026-03-02"}


@pytest.mark.parametrize(
    ("fact", "name", "data"),
    [
        (
            RECORDED,
            "purchase-recorded",
            {
                "lines": [{"product": "shoes-42", "quantity": 1, "amount_minor": 60_000}],
                "share_code": CODE,
                "campaign": None,
            },
        ),
        (
            refunded(900, 1_000),
            "purchase-refunded",
            {**OF_ACT, "refund": REFUND, "refund_id": "r-1", "amount_minor": 900, "refunded_minor": 1_000},
        ),
        (
            attributed(Link(level=1, person="bo", by="share_code"), Link(level=2, person="ana", by="binding")),
            "purchase-attributed",
            {
                **OF_ACT,
                "chain": [
                    {"level": 1, "person": "bo", "by": "share_code"},
                    {"level": 2, "person": "ana", "by": "binding"},
                ],
            },
        ),
    ],
)
def test_a_fact_is_published(fact: Any, name: str, data: dict[str, Any]) -> None:
    recorded = Recorded("stream", 1, "0193a5b0-0000-7000-8000-000000000001", fact, fact.occurred_at, STORED_AT)
    message = publish(recorded)
    assert message is not None
    assert (message.type, message.key, message.subject) == (f"campaigns.{name}.v1", "cy", PURCHASE)
    assert msgspec.json.decode(msgspec.json.encode(message.data)) == COMMON | data
