"""A process whose clock is moved is wrong in every language at once, and keeps its monotonic clock."""

import subprocess
import sys
import time

import pytest

from tests.support.clocks import movable

ASK = """
import time
from datetime import UTC, datetime
from uuid_utils import uuid7
from tests.support.clocks import move_clock
before = time.monotonic()
move_clock({seconds})
print(time.time(), datetime.now(UTC).timestamp(), uuid7().timestamp / 1000, time.monotonic() - before)
"""


@pytest.mark.skipif(not movable(), reason="known for x86-64 Linux only")
@pytest.mark.parametrize("seconds", [-86_400, -3600, 3600, 86_400])
def test_a_clock_is_moved(seconds: int) -> None:
    asked = subprocess.run(
        [sys.executable, "-c", ASK.format(seconds=seconds)], capture_output=True, text=True, check=True, timeout=50
    )
    *clocks, monotonic = map(float, asked.stdout.split())
    assert len(clocks) == 3
    for clock in clocks:
        assert clock == pytest.approx(time.time() + seconds, abs=30)
    assert 0 <= monotonic < 30
