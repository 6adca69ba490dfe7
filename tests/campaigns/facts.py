"""Facts with literal values, for tests of campaigns."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec

from services.campaigns.events import Line, Link, Order, PurchaseAttributed, PurchaseRecorded, PurchaseRefunded
from services.campaigns.purchase import Community

RUNNERS = "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10"
PURCHASE = "0193a5b1-0c11-7d0e-8a55-5a0b6a3a9c01"
REFUND = "0193a5b1-0c11-7d0e-8a55-5a0b6a3a9c02"
CODE = "5R8T2W4Z"
NOW = datetime(2026, 3, 1, 17, 30, tzinfo=UTC)
TODAY = date(2026, 3, 2)  # in Shanghai

COMMUNITY = Community(organization="acme", community=RUNNERS, zone="Asia/Shanghai", currency="CNY")

ORDER = Order(
    order_id="o-1",
    buyer="cy",
    lines=(Line(product="shoes-42", quantity=1, amount_minor=60_000),),
    paid_minor=59_900,
    commissionable_minor=50_000,
    currency="CNY",
    share_code=CODE,
    campaign=None,
)

RECORDED = PurchaseRecorded(
    organization="acme",
    community=RUNNERS,
    zone="Asia/Shanghai",
    purchase=PURCHASE,
    order=ORDER,
    occurred_at=NOW,
    local_day=TODAY,
)


def order(**changes: Any) -> Order:
    return msgspec.structs.replace(ORDER, **changes)


def recorded(**changes: Any) -> PurchaseRecorded:
    """`RECORDED`, with changes of it or of its order."""
    of_order = {name: changes.pop(name) for name in list(changes) if name in Order.__struct_fields__}
    return msgspec.structs.replace(RECORDED, order=order(**of_order), **changes)


def refunded(amount_minor: int, so_far: int, **changes: Any) -> PurchaseRefunded:
    """A refund of `amount_minor` that makes `so_far` in all."""
    fact = PurchaseRefunded(
        organization="acme",
        community=RUNNERS,
        zone="Asia/Shanghai",
        currency="CNY",
        purchase=PURCHASE,
        order_id="o-1",
        buyer="cy",
        refund=REFUND,
        refund_id="r-1",
        amount_minor=amount_minor,
        refunded_minor=so_far,
        paid_minor=59_900,
        commissionable_minor=50_000,
        act_occurred_at=NOW,
        act_local_day=TODAY,
        occurred_at=NOW,
        local_day=TODAY,
    )
    return msgspec.structs.replace(fact, **changes)


def attributed(*chain: Link, **changes: Any) -> PurchaseAttributed:
    fact = PurchaseAttributed(
        organization="acme",
        community=RUNNERS,
        zone="Asia/Shanghai",
        currency="CNY",
        purchase=PURCHASE,
        order_id="o-1",
        buyer="cy",
        chain=chain,
        paid_minor=59_900,
        commissionable_minor=50_000,
        act_occurred_at=NOW,
        act_local_day=TODAY,
        occurred_at=NOW,
        local_day=TODAY,
    )
    return msgspec.structs.replace(fact, **changes)
