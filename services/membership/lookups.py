"""What commands of membership must know beyond their streams."""

from collections.abc import Collection, Mapping
from typing import Any

_COUNT = """
select community::text as community, count(*) as active
  from members
 where community = any($1::uuid[])
   and left_at is null
 group by community
"""


class ActiveMembers:
    """How many active members a community has.

    Exact for a command that holds the community's stream exclusively: whoever joins or leaves reads that stream. Joins and
    leaves of the same batch are not counted: to the launch they come after it.
    """

    name = "active-members"

    async def load(self, connection: Any, keys: Collection[str]) -> Mapping[str, int]:
        rows = await connection.fetch(_COUNT, list(keys))
        return {row["community"]: row["active"] for row in rows}
