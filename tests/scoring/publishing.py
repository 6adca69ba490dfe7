"""Publish rulesets as the projection of the aggregate does."""

from datetime import datetime
from typing import Any

from services.scoring.ruleset import Rule, Rules

STINGY = Rules(
    acts={
        "post_published": Rule(weight=3, points=4, daily_cap=2),
        "comment_added": Rule(weight=1, points=1, daily_cap=0),
        "member_joined": Rule(weight=5, points=7),
        "purchase": Rule(weight=20, points=3, daily_cap=1, minor_units_per_point=7),
    },
    commission_basis_points=[333, 7],
    commission_hold_days=0,
)
"""Caps, rates and divisors that seldom divide anything evenly; two levels of commission."""


async def publish_rules(
    connection: Any,
    rules: Rules,
    valid_from: datetime,
    *,
    organization: str = "acme",
    community: str | None = None,
    version: int = 1,
) -> int:
    """The number of the new version."""
    number: int = await connection.fetchval(
        """
        insert into ruleset_versions
               (organization, community, version, valid_from, rules, published_by, published_at)
        values ($1, $2, $3, $4, $5, 'somebody', clock_timestamp())
        returning ruleset
        """,
        organization,
        community,
        version,
        valid_from,
        rules.encode(),
    )
    return number
