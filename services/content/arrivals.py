"""Through which share a person came last: their last visit that counts."""

from collections.abc import Collection, Mapping
from typing import Any

from services.content.share import Arrival

PersonKey = tuple[str, str]
"""Organization and person."""

_READ = """
select organization, person, code, occurred_at
  from arrivals
  join unnest($1::text[], $2::text[]) as wanted (organization, person) using (organization, person)
"""


class Arrivals:
    """Look-up of a person's last visit that counts, in an organization."""

    name = "arrivals"

    async def load(self, connection: Any, keys: Collection[PersonKey]) -> Mapping[PersonKey, Arrival]:
        wanted = list(keys)
        rows = await connection.fetch(_READ, [key[0] for key in wanted], [key[1] for key in wanted])
        return {
            (row["organization"], row["person"]): Arrival(code=row["code"], occurred_at=row["occurred_at"])
            for row in rows
        }
