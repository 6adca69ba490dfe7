"""The tables of scoring as comparable values, told by names: numbers that depend on who came first are left out."""

from collections.abc import Mapping
from typing import Any

Tables = Mapping[str, list[tuple[Any, ...]]]

_QUERIES = {
    "journal": """
        select event_id, kind, organization, person, community, occurred_at, recorded_at, local_day, act_id, act_day,
               amount, details, ruleset, journal.lane
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
    "orders": """
        select persons.organization, person, community, purchase, order_id, currency, occurred_at, day, ruleset, paid,
               commissionable, refunded, chain
          from orders
          join persons using (person_no)
          join communities using (community_no)
    """,
    "commission_entries": """
        select entry, entries.organization, entries.person, community, purchase, order_id, refund, level,
               entries.amount, currency, rate, entries.ruleset, payable_at, entries.event_id, journal.event_id, lane
          from commission_entries as entries
          join journal using (lane, seq)
          join communities on communities.community_no = entries.community_no
    """,
    "commission_standings": """
        select organization, person, community, commission, active
          from commission_standings
          join communities using (community_no)
    """,
    "published": """
        select stream_id, version, type, data::text, occurred_at, events.partition, key,
               convert_from(value, 'UTF8')::jsonb - 'recorded_at'
          from events
          join outbox using (epoch, transaction_id, sequence)
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
        """
        truncate journal, point_entries, day_counts, standings, rank_buckets, persons, communities, orders,
                 commission_entries, commission_standings, events, outbox
         restart identity
        """
    )
