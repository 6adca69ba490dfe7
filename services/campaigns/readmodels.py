"""The tables that campaigns answers reads from, and the queries."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, MetaData, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.position import Position

_LAST_FACTS = text(
    """
    select distinct on (partition) partition, epoch, transaction_id::text::bigint as transaction_id, sequence
      from events
      join unnest(cast(:streams as text[]), cast(:versions as bigint[])) as seen (stream_id, version)
           using (stream_id, version)
     where partition is not null
     order by partition, events.epoch desc, events.transaction_id desc, events.sequence desc
    """
)


class _Table(SQLModel):
    metadata = MetaData()  # of this service alone: others may have tables of the same name


def _instant() -> Any:
    return Field(sa_type=DateTime(timezone=True))


def _amount() -> Any:
    return Field(sa_type=BigInteger)


class PurchaseRow(_Table, table=True):
    """A purchase; `chain` None: not attributed yet."""

    __tablename__ = "purchases"

    purchase: UUID = Field(primary_key=True)
    organization: str
    community: UUID
    order_id: str
    buyer: str
    lines: list[dict[str, Any]] = Field(sa_type=JSONB)
    paid_minor: int = _amount()
    commissionable_minor: int = _amount()
    currency: str
    share_code: str | None
    campaign: str | None
    occurred_at: datetime = _instant()
    refunded_minor: int = _amount()
    chain: list[dict[str, Any]] | None = Field(sa_type=JSONB)
    version: int = Field(sa_type=BigInteger)


class RefundRow(_Table, table=True):
    """A refund; `refunded_minor`: with all before it."""

    __tablename__ = "refunds"

    purchase: UUID = Field(primary_key=True)
    refunded_minor: int = Field(sa_type=BigInteger, primary_key=True)
    refund: UUID
    refund_id: str
    amount_minor: int = _amount()
    currency: str
    occurred_at: datetime = _instant()


async def purchase(reader: AsyncEngine, id: UUID) -> PurchaseRow | None:
    async with AsyncSession(reader) as session:
        return await session.get(PurchaseRow, id)


async def purchases(
    reader: AsyncEngine,
    organization: str,
    *,
    buyer: str | None,
    order_id: str | None,
    before: UUID | None,
    limit: int,
) -> Sequence[PurchaseRow]:
    """Purchases of an organization, the last recorded first; of one buyer or one order, if given."""
    query = select(PurchaseRow).where(PurchaseRow.organization == organization)
    if buyer is not None:
        query = query.where(PurchaseRow.buyer == buyer)
    if order_id is not None:
        query = query.where(PurchaseRow.order_id == order_id)
    if before is not None:
        query = query.where(col(PurchaseRow.purchase) < before)
    query = query.order_by(col(PurchaseRow.purchase).desc()).limit(limit)
    async with AsyncSession(reader) as session:
        return (await session.exec(query)).all()


async def last_facts(reader: AsyncEngine, seen: Mapping[str, int]) -> Sequence[tuple[int, Position]]:
    """The furthest of some facts in each partition.

    Args:
        seen: versions of streams, by id.
    """
    async with reader.connect() as connection:
        rows = await connection.execute(_LAST_FACTS, {"streams": list(seen), "versions": list(seen.values())})
        return [(row.partition, Position(row.epoch, row.transaction_id, row.sequence)) for row in rows]


async def refunds(reader: AsyncEngine, purchase: UUID, *, after: int, limit: int) -> Sequence[RefundRow]:
    """Refunds of a purchase in the order they were accepted, from the one that made `refunded_minor` more than `after`."""
    query = (
        select(RefundRow)
        .where(RefundRow.purchase == purchase, col(RefundRow.refunded_minor) > after)
        .order_by(col(RefundRow.refunded_minor))
        .limit(limit)
    )
    async with AsyncSession(reader) as session:
        return (await session.exec(query)).all()
