"""Write what a batch changed: one set-based statement per table, tables in one fixed order, shared rows sorted."""

from collections.abc import Sequence
from datetime import date
from itertools import chain
from typing import Any

from services.scoring import copying
from services.scoring.boards import Beginnings, Moved
from services.scoring.commissionwrites import write_commission, write_orders
from services.scoring.fold import LaneFold
from services.scoring.rows import ENTRY, JOURNAL
from shared.failpoints import failpoint

_COUNT = "person_no community_no day act ruleset n score"
_COUNT_ROW = copying.row("i i i h i i q")
_STANDING = "person_no community_no points active activity_key person"
_STANDING_ROW = copying.row("i i q ?")
_EPOCH_DAYS = copying.days(date(1970, 1, 1))


async def write(connection: Any, folds: Sequence[LaneFold], beginnings: Beginnings) -> None:
    """Store the batch. What crosses persons (commission, rank buckets) is added and comes last, so that lanes wait for
    each other no longer than the commit takes; all else belongs to the lanes of the batch alone, and is set."""
    await copying.copy(connection, "journal", JOURNAL, chain.from_iterable(fold.journal for fold in folds))
    await failpoint("scoring.after-journal")
    await write_results(connection, folds, beginnings)


async def write_results(
    connection: Any, folds: Sequence[LaneFold], beginnings: Beginnings, *, fresh: bool = False
) -> None:
    """Store all but the journal, which is what a rebuild folds.

    Args:
        fresh: nothing is stored yet of anybody in the batch, so their rows need only be appended.
    """
    if not fresh:
        await _stage(connection)
    if any(fold.entries for fold in folds):
        await copying.copy(connection, "point_entries", ENTRY, chain.from_iterable(fold.entries for fold in folds))
    await failpoint("scoring.after-entries")
    await _write_counts(connection, folds, fresh=fresh)
    await _write_standings(connection, folds, fresh=fresh)
    await write_orders(connection, folds)
    moved = await write_commission(connection, folds)
    await _add_to_buckets(connection, folds, beginnings, moved)


async def _stage(connection: Any) -> None:
    """Make sure that this connection has its tables to stage changes in."""
    if not await connection.fetchval("select to_regclass('pg_temp.changed_standings') is not null"):
        for changed, table in (("changed_counts", "day_counts"), ("changed_standings", "standings")):
            await connection.execute(f"create temporary table {changed} (like {table}) on commit delete rows")


async def _write_counts(connection: Any, folds: Sequence[LaneFold], *, fresh: bool) -> None:
    rows = [
        _COUNT_ROW.pack(
            7, 4, touch.person.number, 4, standing.community.number, 4, day + _EPOCH_DAYS, 2, act, 4, ruleset, 4, n,
            8, rule.weight * rule.effective(n),
        )
        for fold in folds
        for standing, touch in fold.touched.items()
        for (day, act, ruleset), rule in touch.counts.items()
        for n in (standing.counts[day, act, ruleset],)
    ]  # fmt: skip
    if rows and fresh:
        await copying.copy(connection, "day_counts", _COUNT, rows)
    elif rows:
        await copying.copy(connection, "changed_counts", _COUNT, rows)
        await connection.execute(
            f"""
            insert into day_counts ({_columns(_COUNT)})
            select {_columns(_COUNT)}
              from changed_counts
             order by person_no, community_no, day
                on conflict (person_no, community_no, day, act, ruleset)
                do update set n = excluded.n, score = excluded.score
            """
        )


async def _write_standings(connection: Any, folds: Sequence[LaneFold], *, fresh: bool) -> None:
    rows = [
        _STANDING_ROW.pack(
            6, 4, touch.person.number, 4, standing.community.number, 8, standing.points, 1, standing.active
        ) + copying.bigint(standing.key) + copying.text(touch.person.person)
        for fold in folds
        for standing, touch in fold.touched.items()
    ]  # fmt: skip
    if rows and fresh:
        await copying.copy(connection, "standings", _STANDING, rows)
    elif rows:
        await copying.copy(connection, "changed_standings", _STANDING, rows)
        await connection.execute(
            f"""
            insert into standings ({_columns(_STANDING)})
            select {_columns(_STANDING)}
              from changed_standings
             order by person_no, community_no
                on conflict (person_no, community_no)
                do update set activity_key = excluded.activity_key, points = excluded.points, active = excluded.active
            """
        )


async def _add_to_buckets(
    connection: Any, folds: Sequence[LaneFold], beginnings: Beginnings, commission: Sequence[Moved]
) -> None:
    changes = (
        (standing.community.number, touch.before, standing.place)
        for fold in folds
        for standing, touch in fold.touched.items()
    )
    if moves := beginnings.moves(changes, commission):
        await connection.execute(
            """
            insert into rank_buckets (metric, community_no, lower_key, members)
            select metric, community_no, lower_key, members
              from unnest($1::smallint[], $2::integer[], $3::bigint[], $4::integer[])
                   as moved (metric, community_no, lower_key, members)
                on conflict (metric, community_no, lower_key)
                do update set members = rank_buckets.members + excluded.members
            """,
            *zip(*moves, strict=True),
        )


def _columns(names: str) -> str:
    return ", ".join(names.split())
