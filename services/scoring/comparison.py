"""What of the tables is compared with a rebuild: every column, but for the surrogate numbers."""

from collections.abc import Mapping

from shared.comparison import Compared

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
