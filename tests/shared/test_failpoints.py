import subprocess
import sys
from pathlib import Path

import pytest

from shared.failpoints import POINTS

PROGRAM = """
import asyncio
from shared.failpoints import failpoint

async def main():
    for turn in range(3):
        await failpoint("gateway.before-commit")
        print(turn, flush=True)

asyncio.run(main())
"""


def run(failpoints: str, log: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": ".", "QUNLI_FAILPOINTS": failpoints, "QUNLI_FAILPOINTS_LOG": str(log)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_nothing_happens_unless_asked_for(tmp_path: Path) -> None:
    assert run("", tmp_path / "log").stdout.split() == ["0", "1", "2"]


def test_a_process_is_killed_at_the_hit_named_and_the_hit_is_noted(tmp_path: Path) -> None:
    done = run("gateway.before-commit=kill@2", tmp_path / "log")
    assert (done.returncode, done.stdout.split()) == (-9, ["0"])
    assert (tmp_path / "log").read_text() == "gateway.before-commit\n"


def test_it_can_raise(tmp_path: Path) -> None:
    done = run("gateway.before-commit=raise", tmp_path / "log")
    assert done.returncode == 1
    assert "FailpointError" in done.stderr


@pytest.mark.parametrize("text", ["nowhere=kill", "gateway.before-commit=dance", "gateway.before-commit"])
def test_a_misspelt_failpoint_is_refused(text: str, tmp_path: Path) -> None:
    done = run(text, tmp_path / "log")
    assert done.returncode == 1
    assert "QUNLI_FAILPOINTS" in done.stderr


def test_every_named_point_stands_in_the_code_and_no_other() -> None:
    import re

    found = set()
    for folder in ("shared", "services"):
        for file in Path(folder).rglob("*.py"):
            found |= set(re.findall(r'await failpoint\("([^"]+)"\)', file.read_text()))
    assert found | {"relay.before-watermark"} >= POINTS
    assert found <= POINTS
