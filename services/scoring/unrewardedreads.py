"""Read a person's facts that changed nothing: in the journal, and without an entry."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scoring.readmodels import PersonRow


class Unrewarded(NamedTuple):
    """A fact as journaled; `ruleset` None: there was no act to price."""

    seq: int
    event_id: UUID
    kind: int
    community: UUID
    act_id: UUID | None
    day: date
    amount: int | None
    ruleset: int | None
    occurred_at: datetime


# The condition is that of the index `unrewarded`.
_NEWEST = text(
    """
    select seq, event_id, kind, community, act_id, coalesce(act_day, local_day), amount, ruleset, occurred_at
      from journal
      join communities using (community_no)
     where person_no = :person_no
       and person_no is not null
       and not void
       and (ruleset is null or kind in (3, 13, 14, 15))
       and (community_no = :community_no or cast(:community_no as integer) is null)
       and seq < :before
       and not exists (select
                         from point_entries as entry
                        where (entry.person_no, entry.seq) = (journal.person_no, journal.seq))
     order by seq desc
     limit :limit
    """
)

_NEWEST_OF_ALL = 2**63 - 1


async def unrewarded(
    reader: AsyncEngine, person: PersonRow, *, community_no: int | None, before: int | None, limit: int
) -> Sequence[Unrewarded]:
    """A person's facts without an entry, newest first; only those with a journal number below `before`."""
    parameters = {
        "person_no": person.person_no,
        "community_no": community_no,
        "before": _NEWEST_OF_ALL if before is None else before,
        "limit": limit,
    }
    async with reader.connect() as connection:
        return [Unrewarded(*row) for row in (await connection.execute(_NEWEST, parameters)).all()]
