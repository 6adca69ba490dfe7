"""Facts in, rows out: what lists read from, and what waits for its attribution, written in the transaction of the facts."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from services.campaigns.events import PurchaseAttributed, PurchaseRecorded, PurchaseRefunded
from shared.commands.recorded import Recorded

_RECORD = """
insert into purchases (purchase, organization, community, order_id, buyer, lines, paid_minor, commissionable_minor,
                       currency, share_code, campaign, occurred_at, refunded_minor, version)
select purchase, organization, community, order_id, buyer, lines, paid_minor, commissionable_minor,
       currency, share_code, campaign, occurred_at, 0, version
  from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::jsonb[], $7::bigint[], $8::bigint[],
              $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::bigint[])
       as recorded (purchase, organization, community, order_id, buyer, lines, paid_minor, commissionable_minor,
                    currency, share_code, campaign, occurred_at, version)
"""

_WAIT = """
insert into unattributed (stream_id, recorded_at)
select stream_id, recorded_at from unnest($1::text[], $2::timestamptz[]) as recorded (stream_id, recorded_at)
"""

_REFUND = """
insert into refunds (purchase, refunded_minor, refund, refund_id, amount_minor, currency, occurred_at)
select purchase, refunded_minor, refund, refund_id, amount_minor, currency, occurred_at
  from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[])
       as refunded (purchase, refunded_minor, refund, refund_id, amount_minor, currency, occurred_at)
"""

_REDUCE = """
update purchases
   set refunded_minor = refunded.refunded_minor, version = greatest(purchases.version, refunded.version)
  from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as refunded (purchase, refunded_minor, version)
 where purchases.purchase = refunded.purchase
"""

_ATTRIBUTE = """
update purchases
   set chain = attributed.chain, version = greatest(purchases.version, attributed.version)
  from unnest($1::uuid[], $2::jsonb[], $3::bigint[]) as attributed (purchase, chain, version)
 where purchases.purchase = attributed.purchase
"""

_DONE = "delete from unattributed where stream_id = any($1::text[])"

_Row: TypeAlias = tuple[Any, ...]


async def project(connection: Any, facts: Sequence[Recorded]) -> None:
    """Write what these new facts change: one statement per kind of change, whatever their number."""
    recorded: list[_Row] = []
    waiting: list[_Row] = []
    refunded: list[_Row] = []
    reduced: dict[str, _Row] = {}  # the last refund of a purchase in the batch wins
    attributed: list[_Row] = []
    done: list[str] = []
    for fact in facts:
        match fact.event:
            case PurchaseRecorded() as event:
                recorded.append(_recorded(event, fact.version))
                waiting.append((fact.stream_id, fact.recorded_at))
            case PurchaseRefunded() as event:
                refunded.append(_refunded(event))
                reduced[event.purchase] = (event.purchase, event.refunded_minor, fact.version)
            case PurchaseAttributed() as event:
                attributed.append((event.purchase, _json(event.chain), fact.version))
                done.append(fact.stream_id)
    for statement, rows in (
        (_RECORD, recorded),
        (_WAIT, waiting),
        (_REFUND, refunded),
        (_REDUCE, list(reduced.values())),
        (_ATTRIBUTE, attributed),
    ):
        if rows:
            await connection.execute(statement, *zip(*rows, strict=True))
    if done:
        await connection.execute(_DONE, done)


def _recorded(event: PurchaseRecorded, version: int) -> _Row:
    order = event.order
    return (
        event.purchase,
        event.organization,
        event.community,
        order.order_id,
        order.buyer,
        _json(order.lines),
        order.paid_minor,
        order.commissionable_minor,
        order.currency,
        order.share_code,
        order.campaign,
        event.occurred_at,
        version,
    )


def _refunded(event: PurchaseRefunded) -> _Row:
    return (
        event.purchase,
        event.refunded_minor,
        event.refund,
        event.refund_id,
        event.amount_minor,
        event.currency,
        event.occurred_at,
    )


def _json(values: Sequence[Any]) -> str:
    return msgspec.json.encode(values).decode()
