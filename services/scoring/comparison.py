"""Compare the live tables with the shadow's, row by row."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

from services.scoring.shadow import SCHEMA

FIRST = 5
"""Differences of a table that are shown."""


class Compared(NamedTuple):
    """A table of which every column counts, but for the surrogate numbers.

    Attributes:
        key: what tells which rows belong together.
        select: what is compared, given the schema.
    """

    key: str
    select: str = "select * from {schema}.{table}"


COMPARED: Mapping[str, Compared] = {
    "point_entries": Compared("person_no, seq"),
    "day_counts": Compared("person_no, community_no, day, act, ruleset"),
    "standings": Compared("person_no, community_no"),
    "orders": Compared("person_no, purchase"),
    # Its numbers are only the order in which entries came.
    "commission_entries": Compared(
        "entry",
        """
        select entry, organization, person, community_no, purchase, order_id, refund, level, amount, currency, rate,
               ruleset, payable_at, event_id, lane, seq
          from {schema}.{table}
        """,
    ),
    # Those without commission who are not members are no different from those who have no row: a migration made rows for
    # all who had a standing.
    "commission_standings": Compared(
        "person, community_no",
        """
        select person, community_no, commission, coalesce(active, false) as active
          from {schema}.{table}
         where commission <> 0 or active
        """,
    ),
    # Where buckets begin depends on when they were split.
    "rank_buckets": Compared(
        "metric, community_no",
        """
        select metric, community_no, sum(members) as members
          from {schema}.{table}
         group by metric, community_no
        having sum(members) <> 0
        """,
    ),
}
"""By name. Of `rank_layout` nothing is to be compared."""


class Difference(NamedTuple):
    """A row that is not the same; None where it is missing. JSON."""

    live: str | None
    rebuilt: str | None


class Outcome(NamedTuple):
    """How a table fared.

    Attributes:
        rows: live and rebuilt ones, counted once where they belong together.
        different: how many of them differ.
        first: the first of these, in the order of the key.
    """

    table: str
    rows: int
    different: int
    first: Sequence[Difference]


async def compare(snapshot: Any) -> AsyncIterator[Outcome]:
    """Compare all tables, on a connection whose transaction sees one state of both."""
    for table, compared in COMPARED.items():
        yield await _compare(snapshot, table, compared)


async def _compare(snapshot: Any, table: str, compared: Compared) -> Outcome:
    live, rebuilt = (compared.select.format(schema=schema, table=table) for schema in ("public", SCHEMA))
    paired = f"({live}) as live full join ({rebuilt}) as rebuilt using ({compared.key})"
    rows, different = await snapshot.fetchrow(
        f"select count(*), count(*) filter (where live is distinct from rebuilt) from {paired}"
    )
    first: list[Difference] = []
    if different:
        first = [
            Difference(*row)
            for row in await snapshot.fetch(
                f"""
                select to_jsonb(live)::text, to_jsonb(rebuilt)::text
                  from {paired}
                 where live is distinct from rebuilt
                 order by {compared.key}
                 limit {FIRST}
                """
            )
        ]
    return Outcome(table, rows, different, first)
