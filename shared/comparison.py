"""Compare live tables with those of a shadow, row by row."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from shared.shadow import SCHEMA

FIRST = 5
"""Differences of a table that are shown."""


class Compared(NamedTuple):
    """A table of which every column counts, unless another `select` is given.

    Attributes:
        key: what tells which rows belong together.
        select: what is compared, given the schema.
    """

    key: str
    select: str = "select * from {schema}.{table}"


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


async def compare(snapshot: Any, tables: Mapping[str, Compared]) -> list[Outcome]:
    """Compare these tables, on a connection whose transaction sees one state of both."""
    return [await _compare(snapshot, table, compared) for table, compared in tables.items()]


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


def report(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What the operator reads of a comparison, line by line."""
    for outcome in outcomes:
        yield f"{outcome.table}: {outcome.rows:,} rows, {outcome.different:,} different"
        for difference in outcome.first:
            yield f"    live    {difference.live or 'missing'}"
            yield f"    rebuilt {difference.rebuilt or 'missing'}"
