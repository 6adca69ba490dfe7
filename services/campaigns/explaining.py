"""Why a purchase is credited as it is: read from what the replica held when its chain was fixed."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.campaigns import purchase
from services.campaigns.chain import MARGIN, Refused, Share, refused
from services.campaigns.events import PurchaseRecorded

_CODE = text(
    """
    select event.type, event.data::text, share.organization, share.sharer, share.occurred_at
      from events as event
      left join shares as share on share.code = :code and share.recorded_at <= event.recorded_at + :margin
     where (event.stream_id, event.version) = (:stream, 1)
    """
)


async def refused_code(reader: AsyncEngine, stream: str, code: str) -> Refused | None:
    """Why the share code of a purchase (its stream) does not count; None if it does."""
    async with reader.connect() as connection:
        row = (await connection.execute(_CODE, {"stream": stream, "code": code, "margin": MARGIN})).one()
    fact = purchase.FOLD.codec.decode(row.type, row.data)
    assert isinstance(fact, PurchaseRecorded)
    if row.sharer is None:
        return "unknown"
    return refused(Share(organization=row.organization, sharer=row.sharer, occurred_at=row.occurred_at), fact)
