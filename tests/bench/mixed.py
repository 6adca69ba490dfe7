"""As the row `projection`, with everything that scores: posts, comments, reactions, shares, purchases, attributions."""

from tests.bench.projection import FACTS, MIXED, REACH, measure_of
from tests.bench.rows import Options, Outcome, Row


async def measure(options: Options) -> Outcome:
    return await measure_of(MIXED, options)


ROW = Row(
    "mixed",
    f"{FACTS:,} facts of all kinds on Kafka to journal, activity, points, commission; share of a plain loop's rate",
    f"≥ {REACH}",
    measure,
)
