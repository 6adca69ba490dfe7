"""Read commission: what a person earned, entry by entry. Each is one statement, and so one snapshot."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine


class CommissionEntry(NamedTuple):
    """An entry with the fact that it follows from.

    Attributes:
        entry_no: lists go by it, newest first.
        amount: minor units; negative where it takes back.
        rate: basis points.
        event_id, kind, occurred_at: of the attribution or refund.
    """

    entry_no: int
    entry: UUID
    person: str
    community: UUID
    purchase: UUID
    order_id: str
    refund: UUID | None
    level: int
    amount: int
    currency: str
    rate: int
    ruleset: int
    payable_at: datetime
    event_id: UUID
    kind: int
    occurred_at: datetime
    local_day: date


class CommissionOf(NamedTuple):
    """What a person earned in one community, minor units; `pending` is the part that is not payable yet."""

    community: UUID
    currency: str
    total: int
    pending: int


class Credited(NamedTuple):
    """Of an order: what commission is computed from, minor units, before any refund; and who stands at level 1, 2."""

    commissionable: int
    chain: Sequence[str | None]


_CREDITED = text(
    "select commissionable, chain from orders where person_no = :person_no and purchase = :purchase and chain is not null"
)

_ENTRIES = """
select entry_no, entry, person, community, entries.purchase, order_id, refund, level, entries.amount, currency, rate,
       entries.ruleset, payable_at, entries.event_id, kind, occurred_at, local_day
  from commission_entries as entries
  join journal using (lane, seq)
  join communities on communities.community_no = entries.community_no
 where entries.organization = :organization
"""

_NEWEST = text(
    f"""
    {_ENTRIES}
       and entries.person = :person
       and (entries.community_no = :community_no or cast(:community_no as integer) is null)
       and entry_no < :before
     order by entry_no desc
     limit :limit
    """
)

_OF_EVENT = text(
    f"""
    {_ENTRIES}
       and entries.event_id = :event_id
     order by level
    """
)

# Entries stay pending for days only, so this reads few of many; an order's entries become payable together.
_TOTALS = text(
    """
    select community, currency, commission, pending
      from commission_standings as standing
      join communities using (community_no)
     cross join lateral (
           select currency
             from commission_entries as entries
            where (entries.person, entries.community_no) = (standing.person, standing.community_no)
            limit 1) as currency
     cross join lateral (
           select coalesce(sum(amount), 0) as pending
             from commission_entries as entries
            where (entries.person, entries.community_no) = (standing.person, standing.community_no)
              and payable_at > :now) as pending
     where person = :person
       and organization = :organization
     order by community
    """
)

_CURRENCY = text(
    "select currency from commission_entries where person = :person and community_no = :community_no limit 1"
)

_NEWEST_OF_ALL = 2**63 - 1


async def entries(
    reader: AsyncEngine, organization: str, person: str, *, community_no: int | None, before: int | None, limit: int
) -> Sequence[CommissionEntry]:
    """A person's entries, newest first; only those with a number below `before`."""
    parameters = {
        "organization": organization,
        "person": person,
        "community_no": community_no,
        "before": _NEWEST_OF_ALL if before is None else before,
        "limit": limit,
    }
    async with reader.connect() as connection:
        return [CommissionEntry(*row) for row in (await connection.execute(_NEWEST, parameters)).all()]


async def of_event(reader: AsyncEngine, organization: str, event_id: UUID) -> Sequence[CommissionEntry]:
    """The entries that follow from a fact."""
    parameters = {"organization": organization, "event_id": event_id}
    async with reader.connect() as connection:
        return [CommissionEntry(*row) for row in (await connection.execute(_OF_EVENT, parameters)).all()]


async def credited(reader: AsyncEngine, person_no: int, purchase: UUID) -> Credited | None:
    """An order of this buyer; None while it is not attributed."""
    async with reader.connect() as connection:
        found = await connection.execute(_CREDITED, {"person_no": person_no, "purchase": purchase})
        row = found.first()
    return None if row is None else Credited(*row)


async def totals(reader: AsyncEngine, organization: str, person: str, *, now: datetime) -> Sequence[CommissionOf]:
    """What a person earned in each community where anything was ever booked."""
    parameters = {"organization": organization, "person": person, "now": now}
    async with reader.connect() as connection:
        rows = (await connection.execute(_TOTALS, parameters)).all()
    return [CommissionOf(community, currency, total, int(pending)) for community, currency, total, pending in rows]


async def currency(reader: AsyncEngine, person: str, community_no: int) -> str | None:
    """Of the commission in a community, as an entry of this person there has it."""
    async with reader.connect() as connection:
        found = await connection.execute(_CURRENCY, {"person": person, "community_no": community_no})
        return found.scalar()
