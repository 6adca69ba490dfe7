"""The page about permissions says what the table in code says."""

import re
from pathlib import Path

from shared.permissions import PERMISSIONS, Action, Role

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"


def row(action: Action) -> str:
    """The action's line in the page, the part that is not prose."""
    cells = ["yes" if role in PERMISSIONS[action] else "–" for role in Role]
    return f"| `{action}` | {' | '.join(cells)} |"


def test_every_action_is_on_the_page_with_its_roles() -> None:
    rows = re.findall(r"^\| `\w+` \|.*$", PAGE.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(map(row, Action))
    assert set(PERMISSIONS) == set(Action)


def test_the_columns_are_the_roles_by_rank() -> None:
    heads = re.findall(r"^\| Action \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    assert heads
    assert {tuple(head.replace(" ", "").split("|")) for head in heads} == {tuple(Role)}
