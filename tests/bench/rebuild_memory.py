"""Whether a rebuild needs more memory where there is more to fold."""

import statistics

from tests.bench import journal, servers
from tests.bench.rows import Options, Outcome, Row, say

FEW, MANY = 30_000, 300_000
REACH = 1.3


async def measure(options: Options) -> Outcome:
    few, many = await _peak(options, FEW), await _peak(options, MANY)
    return Outcome(f"{many / few:.2f} ×", many / few <= REACH, [f"{few:.0f} MB and {many:.0f} MB"])


async def _peak(options: Options, full: int) -> float:
    rows = options.size(full, least=2000)
    with servers.folder() as path, servers.postgres(path) as postgres:
        dsn, _ = await journal.fold_live(postgres, path, rows, repeats=1)
        peaks = [(await journal.rebuild(postgres, dsn, rows)).peak for _ in range(options.repeats)]
    say(f"{rows:,} rows: {', '.join(f'{peak:.0f}' for peak in peaks)} MB")
    return statistics.median(peaks)


ROW = Row(
    "rebuild_memory",
    f"peak memory of the command `rebuild` on {MANY:,} journal rows, as a multiple of that on {FEW:,}",
    f"≤ {REACH} ×",
    measure,
)
