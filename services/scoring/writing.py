"""Write what a batch changed: one set-based statement per table, tables in one fixed order, shared rows sorted."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from services.scoring import copying
from services.scoring.boards import Beginnings
from services.scoring.fold import JournalRow, LaneFold
from services.scoring.scorecard import Community
from shared.failpoints import failpoint
from shared.messaging.facts import Poison

_JOURNAL = "lane seq event_id kind community_no occurred_at recorded_at local_day person_no act_id act_day ruleset"
_JOURNAL_ROW = copying.row("h q 16s h i q q i")
_ACT_ROW = copying.row("h q 16s h i q q i i 16s i i")
_ENTRY = "person_no seq community_no act points_wanted points_given weight_wanted weight_given reason"
_ENTRY_ROW = copying.row("i q i h q q i i")
_COUNT = "person_no community_no day act ruleset n score"
_COUNT_ROW = copying.row("i i i h i i q")
_STANDING = "person_no community_no points active activity_key person"
_STANDING_ROW = copying.row("i i q ?")
_EPOCH_DAYS = copying.days(date(1970, 1, 1))


async def write(connection: Any, folds: Sequence[LaneFold], beginnings: Beginnings) -> None:
    """Store the batch. What crosses persons (rank buckets) is added and comes last, so that lanes wait for each other
    no longer than the commit takes; all else belongs to the lanes of the batch alone, and is set."""
    await _stage(connection)
    await _number_communities(connection, folds)
    await _number_persons(connection, folds)
    rows = [_journal_row(fold.memory.lane, row) for fold in folds for row in fold.journal]
    await copying.copy(connection, "journal", _JOURNAL.split(), rows)
    await failpoint("scoring.after-journal")
    await _write_entries(connection, folds)
    await failpoint("scoring.after-entries")
    await _write_counts(connection, folds)
    await _write_standings(connection, folds)
    await _add_to_buckets(connection, folds, beginnings)


async def _stage(connection: Any) -> None:
    """Make sure that this connection has its tables to stage changes in."""
    if not await connection.fetchval("select to_regclass('pg_temp.changed_standings') is not null"):
        for changed, table in (("changed_counts", "day_counts"), ("changed_standings", "standings")):
            await connection.execute(f"create temporary table {changed} (like {table}) on commit delete rows")


async def _number_communities(connection: Any, folds: Sequence[LaneFold]) -> None:
    new: dict[str, list[Community]] = {}
    for fold in folds:
        for community in fold.new_communities:
            new.setdefault(community.id, []).append(community)
    if not new:
        return
    ids = sorted(new)
    await connection.execute(
        """
        insert into communities (community, organization, zone)
        select community, organization, zone
          from unnest($1::uuid[], $2::text[], $3::text[]) as new (community, organization, zone)
            on conflict (community) do nothing
        """,
        ids,
        [new[id][0].organization for id in ids],
        [new[id][0].zone for id in ids],
    )
    # Another lane may have been first: its row is visible to a new statement, not to a `returning` of the former.
    for number, id in await connection.fetch(
        "select community_no, community::text from communities where community = any ($1::uuid[])", ids
    ):
        for community in new[id]:
            community.number = number


async def _number_persons(connection: Any, folds: Sequence[LaneFold]) -> None:
    new = {
        (touch.person.organization, touch.person.person): (fold.memory.lane, touch.person)
        for fold in folds
        for touch in fold.touched.values()
        if not touch.person.number
    }
    if not new:
        return
    for number, organization, person in await connection.fetch(
        """
        insert into persons (organization, person, lane)
        select organization, person, lane
          from unnest($1::text[], $2::text[], $3::smallint[]) as new (organization, person, lane)
        returning person_no, organization, person
        """,
        [organization for organization, _ in new],
        [person for _, person in new],
        [lane for lane, _ in new.values()],
    ):
        new[organization, person][1].number = number


def _journal_row(lane: int, row: JournalRow) -> bytes:
    message, person, act_day = row.message, row.person, row.act_day
    try:
        event_id, act_id = (
            copying.uuid_bytes(row.fact.event_id),
            None if row.act_id is None else copying.uuid_bytes(row.act_id),
        )
    except ValueError as error:
        raise Poison(row.fact, str(error)) from error
    fields = (
        12, 2, lane, 8, row.seq, 16, event_id, 2, message.kind, 4, row.community.number,
        8, copying.micros(message.occurred_at), 8, copying.micros(message.recorded_at),
        4, copying.days(message.local_day),
    )  # fmt: skip
    if act_id and person is not None and act_day is not None and row.ruleset is not None:
        # Nearly every row; packed at once, in half the time.
        return _ACT_ROW.pack(*fields, 4, person.number, 16, act_id, 4, copying.days(act_day), 4, row.ruleset)
    person_no = copying.integer(None if person is None else person.number)
    packed_day = copying.integer(None if act_day is None else copying.days(act_day))
    return _JOURNAL_ROW.pack(*fields) + person_no + copying.uuid(act_id) + packed_day + copying.integer(row.ruleset)


async def _write_entries(connection: Any, folds: Sequence[LaneFold]) -> None:
    rows = [
        _ENTRY_ROW.pack(
            9, 4, row.person.number, 8, row.seq, 4, row.community.number, 2, effect.act, 8, effect.points_wanted,
            8, effect.points_given, 4, effect.weight_wanted, 4, effect.weight_given,
        ) + copying.smallint(effect.reason)
        for fold in folds
        for row in fold.journal
        if (effect := row.effect) is not None and row.person is not None
    ]  # fmt: skip
    if rows:
        await copying.copy(connection, "point_entries", _ENTRY.split(), rows)


async def _write_counts(connection: Any, folds: Sequence[LaneFold]) -> None:
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
    if rows:
        await copying.copy(connection, "changed_counts", _COUNT.split(), rows)
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


async def _write_standings(connection: Any, folds: Sequence[LaneFold]) -> None:
    rows = [
        _STANDING_ROW.pack(
            6, 4, touch.person.number, 4, standing.community.number, 8, standing.points, 1, standing.active
        ) + copying.bigint(standing.key) + copying.text(touch.person.person)
        for fold in folds
        for standing, touch in fold.touched.items()
    ]  # fmt: skip
    if rows:
        await copying.copy(connection, "changed_standings", _STANDING.split(), rows)
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


async def _add_to_buckets(connection: Any, folds: Sequence[LaneFold], beginnings: Beginnings) -> None:
    changes = (
        (standing.community.number, touch.before, standing.place)
        for fold in folds
        for standing, touch in fold.touched.items()
    )
    if moves := beginnings.moves(changes):
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
