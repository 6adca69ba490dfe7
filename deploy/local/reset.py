"""Remove all data of local runs: `make reset`."""

import shutil
import sys
from pathlib import Path

from deploy.local import kafka, postgres
from deploy.local.processes import FolderLock, ServerFailed

STATE = Path(__file__).parents[2] / ".state"


def main(state: Path = STATE) -> int:
    """Remove what stands in the state folder, and beside it for want of access; refuse while something runs there."""
    folders = sorted(lock.parent for lock in state.glob("*/lock"))
    try:
        for folder in folders:  # first see that nothing runs, then remove anything
            lock = FolderLock(folder)
            lock.acquire(timeout_seconds=1)
            lock.release()
        for folder in folders:
            kafka.end_orphans(kafka.marker(folder))
            postgres.wipe(folder)
    except ServerFailed as error:
        print(error, file=sys.stderr)
        return 1
    shutil.rmtree(state, ignore_errors=True)
    print("All local data is gone.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
