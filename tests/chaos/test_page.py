"""docs/reliability.md names every check of the checker beside the promise that it guards."""

import re
from pathlib import Path

from tests.chaos.checker import CHECKS

PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()


def test_every_check_stands_beside_a_promise() -> None:
    beside = re.findall(r"^\| .* \| ((?:`\w+`(?:, )?)+) \|$", PAGE, re.MULTILINE)
    named = [name for cell in beside for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(check.__name__ for check in CHECKS)
