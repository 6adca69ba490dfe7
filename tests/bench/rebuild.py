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
        anew = []
        for _ in range(options.repeats):
            anew.append((await journal.rebuild(postgres, dsn, rows)).seconds)
            say(f"rebuilt and compared at {rows / anew[-1]:,.0f} rows/s")
    ratio = statistics.median(live) / statistics.median(anew)
    figures = f"{rows / statistics.median(anew):,.0f} rows/s against {rows / statistics.median(live):,.0f} records/s"
    return Outcome(f"{ratio:.2f}", ratio >= REACH, [figures])


ROW = Row(
    "rebuild",
    f"the command `rebuild` on a journal of {ROWS:,} facts of all kinds; multiple of the rate at which they were folded",
    f"≥ {REACH:.0f}",
    measure,
)
