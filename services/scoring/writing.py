"""Write what a batch changed: one set-based statement per table, tables in one fixed order, shared rows sorted by key."""

from collections.abc import Sequence
from typing import Any

from services.scoring.boards import Layout
from services.scoring.fold import LaneFold
from services.scoring.scorecard import Community
from shared.failpoints import failpoint


async def write(connection: Any, folds: Sequence[LaneFold], layout: Layout) -> None:
    """Store the batch. What crosses persons (rank buckets) is added and comes last, so that lanes wait for each other
    no longer than the commit takes; all else belongs to the lanes of the batch alone, and is set."""
    await _number_communities(connection, folds)
    await _number_persons(connection, folds)
    await _write_journal(connection, folds)
    await failpoint("scoring.after-journal")
    await _write_entries(connection, folds)
    await failpoint("scoring.after-entries")
    await _write_counts(connection, folds)
    await _write_standings(connection, folds)
    await _add_to_buckets(connection, folds, layout)


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
        if touch.person.number is None
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


async def _write_journal(connection: Any, folds: Sequence[LaneFold]) -> None:
    columns = [
        "lane",
        "seq",
        "event_id",
        "kind",
        "person_no",
        "community_no",
        "occurred_at",
        "recorded_at",
        "local_day",
        "act_id",
        "act_day",
        "ruleset",
    ]
    records = [
        (
            fold.memory.lane,
            row.seq,
            row.fact.event_id,
            row.kind,
            None if row.person is None else row.person.number,
            row.community.number,
            row.message.occurred_at,
            row.message.recorded_at,
            row.message.local_day,
            row.act_id,
            row.act_day,
            row.ruleset,
        )
        for fold in folds
        for row in fold.journal
    ]
    await connection.copy_records_to_table("journal", records=records, columns=columns)


async def _write_entries(connection: Any, folds: Sequence[LaneFold]) -> None:
    columns = [
        "person_no",
        "seq",
        "community_no",
        "act",
        "points_wanted",
        "points_given",
        "weight_wanted",
        "weight_given",
        "reason",
    ]
    records = [
        (row.person.number, row.seq, row.community.number, *row.effect)
        for fold in folds
        for row in fold.journal
        if row.effect is not None and row.person is not None
    ]
    if records:
        await connection.copy_records_to_table("point_entries", records=records, columns=columns)


async def _write_counts(connection: Any, folds: Sequence[LaneFold]) -> None:
    rows = sorted(
        (touch.person.number, standing.community.number, *key, *standing.counts[key])
        for fold in folds
        for standing, touch in fold.touched.items()
        for key in touch.counts
    )
    if rows:
        await connection.execute(
            """
            insert into day_counts (person_no, community_no, day, act, ruleset, n, score)
            select person_no, community_no, date '1970-01-01' + day, act, ruleset, n, score
              from unnest($1::integer[], $2::integer[], $3::integer[], $4::smallint[], $5::integer[], $6::integer[],
                          $7::bigint[]) as changed (person_no, community_no, day, act, ruleset, n, score)
                on conflict (person_no, community_no, day, act, ruleset)
                do update set n = excluded.n, score = excluded.score
            """,
            *zip(*rows, strict=True),
        )


async def _write_standings(connection: Any, folds: Sequence[LaneFold]) -> None:
    rows = sorted(
        (touch.person.number, standing.community.number, touch.person.person, standing.key, standing.points,
         standing.active)
        for fold in folds
        for standing, touch in fold.touched.items()
    )  # fmt: skip
    if rows:
        await connection.execute(
            """
            insert into standings (person_no, community_no, person, activity_key, points, active)
            select person_no, community_no, person, activity_key, points, active
              from unnest($1::integer[], $2::integer[], $3::text[], $4::bigint[], $5::bigint[], $6::boolean[])
                   as changed (person_no, community_no, person, activity_key, points, active)
                on conflict (person_no, community_no)
                do update set activity_key = excluded.activity_key, points = excluded.points, active = excluded.active
            """,
            *zip(*rows, strict=True),
        )


async def _add_to_buckets(connection: Any, folds: Sequence[LaneFold], layout: Layout) -> None:
    changes = (
        (standing.community.number, touch.before, standing.place)
        for fold in folds
        for standing, touch in fold.touched.items()
    )
    if moves := layout.moves(changes):
        await connection.execute(
            """
            insert into rank_buckets (metric, community_no, lower_key, members)
            select metric, community_no, lower_key, members
              from unnest($1::smallint[], $2::integer[], $3::bigint[], $4::bigint[])
                   as moved (metric, community_no, lower_key, members)
                on conflict (metric, community_no, lower_key)
                do update set members = rank_buckets.members + excluded.members
            """,
            *zip(*moves, strict=True),
        )
