"""What is counted of a post, comment or share: kept as sums, so that reading costs the same for few and for many."""

from collections.abc import Collection, Mapping
from typing import Any

COMMENTS = "comments"
VISITS = "visits"
CHILDREN = "children"

ADD = """
insert into tallies (subject, kind, number)
select subject, kind, number
  from unnest($1::text[], $2::text[], $3::bigint[]) as added (subject, kind, number)
 order by subject, kind
    on conflict (subject, kind) do update
   set number = tallies.number + excluded.number
"""

_READ = "select subject, kind, number from tallies where subject = any($1) and number > 0"

Counts = Mapping[str, int]
"""By kind; what there is none of is missing."""


class Tallies:
    """Look-up of what is counted of a subject, for answers to commands."""

    name = "tallies"

    async def load(self, connection: Any, keys: Collection[str]) -> Mapping[str, Counts]:
        counts: dict[str, dict[str, int]] = {}
        for row in await connection.fetch(_READ, list(keys)):
            counts.setdefault(row["subject"], {})[row["kind"]] = row["number"]
        return counts
