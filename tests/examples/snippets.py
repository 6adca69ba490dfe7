"""The fenced blocks of the pages, and what is said about who runs them."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.system import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        kind: the word after the fence, as `bash`.
        line: of its fence in the page.
        mark: the comment on the line before the fence, if there is one: why nothing runs it, or who does.
    """

    page: Path
    line: int
    kind: str
    text: str
    mark: str


def blocks(page: Path, *kinds: str) -> list[Block]:
    """The blocks of a page in order; of these kinds only, if any are named."""
    found, text = [], page.read_text()
    for fence in re.finditer(r"^```(\S*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        kind, content = fence.groups()
        before = text[: fence.start()].rstrip("\n").rpartition("\n")[2]
        mark = re.fullmatch(r"<!-- (.*) -->", before)
        line = text.count("\n", 0, fence.start()) + 1
        found.append(Block(page, line, kind, content, mark[1] if mark else ""))
    return [block for block in found if not kinds or block.kind in kinds]


def runner_of(page: Path) -> str:
    """The test that runs the blocks of a page, as its first line says: `<!-- Run by tests/… -->`; or nothing."""
    mark = re.match(r"<!-- Run by (\S+) -->\n", page.read_text())
    return mark[1] if mark else ""
