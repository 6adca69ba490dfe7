"""What is counted of a post or comment, as it is shown."""

from services.content import tallies
from services.content.tallies import Counts

ReactionCounts = dict[str, int]
"""By kind; a kind that nobody has chosen is missing."""


def reactions_in(counts: Counts) -> ReactionCounts:
    """The reactions among what is counted."""
    return {kind: number for kind, number in sorted(counts.items()) if kind != tallies.COMMENTS}
