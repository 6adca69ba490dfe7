"""Write orders, and the commission that follows from them to whomever it is due."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from services.scoring import copying
from services.scoring.boards import Moved
from services.scoring.commission import Order
from services.scoring.fold import LaneFold
from services.scoring.orders import Booking

_ORDER = "person_no community_no day ruleset paid commissionable refunded occurred_at purchase order_id currency chain"
_ORDER_ROW = copying.row("i i i i q q q q 16s")
_ENTRY = (
    "community_no purchase level amount rate ruleset payable_at event_id lane seq entry organization person order_id "
    "currency refund"
)
_ENTRY_ROW = copying.row("i 16s h q i i q 16s h q 16s")


async def write_orders(connection: Any, folds: Sequence[LaneFold]) -> None:
    """Store new orders, and what changed in others."""
    new = [order for fold in folds for order in fold.orders.new.values()]
    if new:
        await copying.copy(connection, "orders", _ORDER, map(_order_row, new))
    changed = [order for fold in folds for order in fold.orders.known.values()]
    if changed:
        await connection.execute(
            """
            update orders
               set refunded = changed.refunded, chain = changed.chain
              from unnest($1::integer[], $2::uuid[], $3::bigint[], $4::jsonb[])
                   as changed (person_no, purchase, refunded, chain)
             where (orders.person_no, orders.purchase) = (changed.person_no, changed.purchase)
            """,
            [order.buyer.number for order in changed],
            [order.purchase for order in changed],
            [order.refunded for order in changed],
            [None if order.chain is None else msgspec.json.encode(order.chain).decode() for order in changed],
        )


async def write_commission(connection: Any, folds: Sequence[LaneFold]) -> list[Moved]:
    """Store the entries, add them to the standings of who earns them, and mark who is an active member.

    Any lane may add to a standing, but only the person's own sets whether it is active. The database tells the values
    before and after, so that each lane knows exactly which keys it moved on the board.
    """
    entries = [_entry_row(fold.memory.lane, booking) for fold in folds for booking in fold.orders.bookings]
    if entries:
        await copying.copy(connection, "commission_entries", _ENTRY, entries)
    added: Counter[tuple[str, int]] = Counter()
    active: dict[tuple[str, int], bool] = {}
    for fold in folds:
        for booking in fold.orders.bookings:
            added[booking.booked.person, booking.community.number] += booking.booked.amount
        for standing, touch in fold.touched.items():
            if touch.membership:
                active[touch.person.person, standing.community.number] = standing.active
    changed = sorted(added.keys() | active.keys())
    if not changed:
        return []
    rows = await connection.fetch(
        """
        insert into commission_standings as standing (person, community_no, commission, active)
        select person, community_no, added, active
          from unnest($1::text[], $2::integer[], $3::bigint[], $4::boolean[])
               with ordinality as changed (person, community_no, added, active, place)
         order by place
            on conflict (person, community_no) do update
           set commission = standing.commission + excluded.commission,
               active = coalesce(excluded.active, standing.active)
        returning community_no, old.commission, old.active, new.commission, new.active
        """,
        [person for person, _ in changed],
        [community for _, community in changed],
        [added[key] for key in changed],
        [active.get(key) for key in changed],
    )
    return [(row[0], _key(row[1], row[2]), _key(row[3], row[4])) for row in rows]


def _key(commission: int | None, active: bool | None) -> int | None:
    """On the commission board; None: not there."""
    return commission or None if active else None


def _order_row(order: Order) -> bytes:
    return b"".join((
        _ORDER_ROW.pack(
            12, 4, order.buyer.number, 4, order.community.number, 4, copying.days(order.day), 4, order.ruleset.number,
            8, order.paid, 8, order.commissionable, 8, order.refunded, 8, copying.micros(order.occurred_at),
            16, copying.uuid_bytes(order.purchase),
        ),
        copying.text(order.order_id),
        copying.text(order.currency),
        copying.jsonb(None if order.chain is None else msgspec.json.encode(order.chain)),
    ))  # fmt: skip


def _entry_row(lane: int, booking: Booking) -> bytes:
    booked = booking.booked
    return b"".join((
        _ENTRY_ROW.pack(
            16, 4, booking.community.number, 16, copying.uuid_bytes(booked.purchase), 2, booked.level,
            8, booked.amount, 4, booked.rate, 4, booked.ruleset, 8, copying.micros(booked.payable_at),
            16, copying.uuid_bytes(booked.cause), 2, lane, 8, booking.seq, 16, copying.uuid_bytes(booked.entry),
        ),
        copying.text(booked.organization),
        copying.text(booked.person),
        copying.text(booked.order_id),
        copying.text(booked.currency),
        copying.uuid(None if booked.refund is None else copying.uuid_bytes(booked.refund)),
    ))  # fmt: skip
