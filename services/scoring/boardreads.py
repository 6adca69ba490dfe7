"""Read boards: pages, and one member's place among its neighbours. Each is one statement, and so one snapshot."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scoring.boards import Metric

NEIGHBOURS = 2
"""How many members are shown above and below a member's own place."""


class Placed(NamedTuple):
    """A member on a board. `key` is the rank key of activity, or the points, or the commission in minor units."""

    rank: int
    person: str
    key: int


async def page(
    reader: AsyncEngine, metric: Metric, community_no: int, *, after: tuple[int, str] | None, limit: int
) -> Sequence[Placed]:
    """Members from the top, or after this (key, person), equal ones by person."""
    key, person = after if after is not None else (None, None)
    parameters = {"metric": int(metric), "community": community_no, "key": key, "person": person}
    async with reader.connect() as connection:
        rows = (await connection.execute(_page_statement(metric, limit, after=after is not None), parameters)).all()
    return _placed([tuple(row) for row in rows])


async def place(
    reader: AsyncEngine, metric: Metric, community_no: int, *, organization: str, person: str
) -> tuple[Placed, Sequence[Placed]] | None:
    """A member's place, and all in view: itself with its neighbours, from the top. None: not on the board."""
    parameters = {
        "metric": int(metric),
        "community": community_no,
        "organization": organization,
        "person": person,
    }
    async with reader.connect() as connection:
        rows = (await connection.execute(_place_statement(metric), parameters)).all()
    view = _placed([tuple(row) for row in rows])
    return next(((own, view) for own in view if own.person == person), None)


async def folded(reader: AsyncEngine) -> str | None:
    """Another one whenever anything was folded that may have changed a board."""
    async with reader.connect() as connection:
        stamps = "select md5(string_agg(stamp::text, ' ' order by lane)) from lanes where consumer = 'scoring'"
        return (await connection.execute(text(stamps))).scalar()


def _on_board(metric: Metric, where: str = "true") -> str:
    """Members of the board, with their keys."""
    return f"""
        select person, {metric.column} as key
          from {metric.table}
         where community_no = :community and {metric.on_board} and {where}
    """


def _ranked(metric: Metric, rows: str) -> str:
    """The rows of a stretch with the rank of its highest key, and how many members have that key.

    The rank is who is in buckets above, and who is above inside the key's own bucket. Where so many have the key that
    it has a bucket of its own, they are not counted but read from there.
    """
    buckets = "from rank_buckets where metric = :metric and community_no = :community and lower_key"
    inside = _on_board(
        metric,
        f"{metric.column} > top.key and {metric.column} < "
        f"(select coalesce(min(lower_key), 9223372036854775807) {buckets} > top.key)",
    )
    ties = _on_board(metric, f"{metric.column} = top.key")
    return f"""
        ranked as materialized (
            select 1 + (select coalesce(sum(members), 0) {buckets} > top.key)
                     + (select count(*) from ({inside}) as inside) as rank,
                   coalesce((select members {buckets} = top.key and exists (select {buckets} = top.key + 1)),
                            (select count(*) from ({ties}) as ties)) as ties
              from (select max(key) as key from {rows}) as top)
        select person, key, rank, ties
          from {rows}
         cross join ranked
         order by key desc, person
    """


@lru_cache(maxsize=256)
def _page_statement(metric: Metric, limit: int, *, after: bool) -> TextClause:
    # The limit is part of the text: with one that it does not know, the server would plan each time anew.
    column = metric.column
    page = (
        f"""
        select * from ((select * from ({_on_board(metric, f"{column} = :key and person > :person")}) as ties
                         order by person limit {limit})
                       union all
                       (select * from ({_on_board(metric, f"{column} < :key")}) as below
                         order by key desc, person limit {limit})) as following
         order by key desc, person
         limit {limit}
        """
        if after
        else f"{_on_board(metric)} order by key desc, person limit {limit}"
    )
    return text(
        f"""
        with page as ({page}),
        {_ranked(metric, "page")}
        """
    )


@lru_cache
def _place_statement(metric: Metric) -> TextClause:
    column = metric.column
    ties_above = _on_board(metric, f"{column} = own.key and person < own.person")
    ties_below = _on_board(metric, f"{column} = own.key and person > own.person")
    own = "person = :person"
    if metric is not Metric.COMMISSION:
        # Standings are found by the person's number.
        own = "person_no = (select person_no from persons where organization = :organization and person = :person)"
    return text(
        f"""
        with own as ({_on_board(metric, own)}),
        near as (
            select * from own
            union all
            select above.*
              from own
             cross join lateral (
                   select * from ((select * from ({ties_above}) as t
                                    order by person desc limit {NEIGHBOURS})
                                  union all
                                  (select * from ({_on_board(metric, f"{column} > own.key")}) as t
                                    order by key, person desc limit {NEIGHBOURS})) as t
                    order by key, person desc
                    limit {NEIGHBOURS}) as above
            union all
            select below.*
              from own
             cross join lateral (
                   select * from ((select * from ({ties_below}) as t
                                    order by person limit {NEIGHBOURS})
                                  union all
                                  (select * from ({_on_board(metric, f"{column} < own.key")}) as t
                                    order by key desc, person limit {NEIGHBOURS})) as t
                    order by key desc, person
                    limit {NEIGHBOURS}) as below),
        {_ranked(metric, "near")}
        """
    )


def _placed(rows: Sequence[tuple[str, int, int, int]]) -> list[Placed]:
    """Ranks for a stretch of a board, (person, key, rank of the highest key, members with it) from the top.

    Members of the highest key may stand before the stretch; from the next key on, all that rank between are in it.
    """
    placed: list[Placed] = []
    offset = 0
    for place, (person, key, rank, ties) in enumerate(rows):
        if not placed:
            placed.append(Placed(rank, person, key))
        elif key == placed[-1].key:
            placed.append(Placed(placed[-1].rank, person, key))
        else:
            if placed[-1].key == placed[0].key:
                offset = rank + ties - place
            placed.append(Placed(offset + place, person, key))
    return placed
