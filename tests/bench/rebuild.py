"""How fast the command `rebuild` folds and compares a journal, against the consumer that wrote it."""

import statistics

from tests.bench import journal, servers
from tests.bench.rows import Options, Outcome, Row, say

ROWS = 300_000
REACH = 2.0


async def measure(options: Options) -> Outcome:
    rows = options.size(ROWS, least=2000)
    with servers.folder() as path, servers.postgres(path) as postgres:
        dsn, live = await journal.fold_live(postgres, path, rows, repeats=options.repeats)
        runs = []
        for _ in range(options.repeats):
            runs.append(await journal.rebuild(postgres, dsn, rows))
            say(f"rebuilt and compared at {rows / runs[-1].seconds:,.0f} rows/s")
    seconds, whole, at_once = (
        statistics.median(times) for times in ([run.seconds for run in runs], [run.whole_seconds for run in runs], live)
    )
    figures = (
        f"{rows / seconds:,.0f} rows/s ({rows / whole:,.0f} with the start of the process) against "
        f"{rows / at_once:,.0f} records/s"
    )
    return Outcome(f"{at_once / seconds:.2f}", at_once / seconds >= REACH, [figures])


ROW = Row(
    "rebuild",
    f"the command `rebuild` on a journal of {ROWS:,} facts of all kinds; multiple of the rate at which they were folded",
    f"≥ {REACH:.0f}",
    measure,
)
