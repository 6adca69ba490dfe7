"""Who asks scoring."""

from dataclasses import dataclass

SCORES_READ = "scores:read"


@dataclass(frozen=True)
class Reader:
    """Who asks.

    Attributes:
        organization: whose data there is at all.
        person: the person who asks; None for a machine.
        all_scores: may read anybody's numbers in the organization.
    """

    organization: str
    person: str | None
    all_scores: bool
