"""The tables of scoring as comparable values, told by names: numbers that depend on who came first are left out."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from services.scoring.rankkey import rank_key

Tables = Mapping[str, list[tuple[Any, ...]]]

_QUERIES = {
    "journal": """
        select event_id, kind, organization, person, community, occurred_at, recorded_at, local_day, act_id, act_day,
               amount, ruleset, journal.lane
          from journal
          left join (select person_no, person from persons) persons using (person_no)
          join communities using (community_no)
    """,
    "point_entries": """
        select event_id, person, community, act, points_wanted, points_given, weight_wanted, weight_given, reason
          from point_entries
          join persons using (person_no)
          join journal using (lane, seq)
          join communities on communities.community_no = point_entries.community_no
    """,
    "day_counts": """
        select persons.organization, person, community, day, act, ruleset, n, score
          from day_counts
          join persons using (person_no)
          join communities using (community_no)
    """,
    "standings": """
        select persons.organization, standings.person, persons.person, lane, community, activity_key, points, active
          from standings
          join persons using (person_no)
          join communities using (community_no)
    """,
    "communities": "select community, organization, zone, half_life_days from communities",
    "rank_buckets": """
        select metric, community, sum(members)
          from rank_buckets
          join communities using (community_no)
         group by metric, community
        having sum(members) <> 0
    """,
}


async def tables(connection: Any) -> Tables:
    return {
        name: sorted((tuple(row) for row in await connection.fetch(query)), key=repr)
        for name, query in _QUERIES.items()
    }


async def empty(connection: Any) -> None:
    """Put the database back to how it was made."""
    await connection.execute(
        "truncate journal, point_entries, day_counts, standings, rank_buckets, persons, communities restart identity"
    )


async def recomputed(connection: Any) -> list[tuple[Any, ...]]:
    """(organization, person, community, rank key, points) of everybody, anew from the journal in a few lines."""
    rows = await connection.fetch(
        """
        select communities.organization, person, community, kind, coalesce(act_day - date '1970-01-01', 0), ruleset
          from journal
          join communities using (community_no)
          join persons using (person_no)
        """
    )
    people: defaultdict[tuple[Any, ...], Counter[tuple[int, str]]] = defaultdict(Counter)
    for *who, kind, day, ruleset in rows:
        acts = people[tuple(who)]
        if ruleset is not None:
            acts[day, "join" if kind == 3 else "post"] += -1 if kind == 6 else 1
    result = []
    for who, acts in people.items():
        scores: Counter[int] = Counter()
        for (day, act), n in acts.items():
            scores[day] += 10 * min(n, 5) if act == "post" else 5 * n
        points = sum(10 * min(n, 5) for (_, act), n in acts.items() if act == "post")
        result.append((*who, rank_key(scores, 7), points))
    return sorted(result, key=repr)
