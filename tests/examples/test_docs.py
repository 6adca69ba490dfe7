"""The pages, as their readers would follow them: every `bash` block is run, and prints what the `text` block after it says."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.examples.snippets import PAGES, blocks, runner_of
from tests.support.system import ROOT, System

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("curl") is None, reason="the pages are written for curl, which is not here"),
]

HERE = "tests/examples/test_docs.py"
TUTORIAL = ROOT / "docs" / "tutorial.md"
NEXT = "=== next block ==="


def run(script: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.replace("\r", "")


def with_outputs(page: Path) -> list[tuple[str, str]]:
    """Commands and what they are said to print, in order."""
    found: list[tuple[str, str]] = []
    for block in blocks(page, "bash", "text"):
        if block.kind == "bash":
            found.append((block.text, ""))
        else:
            found[-1] = (found[-1][0], block.text)
    return found


RUN = [page for page in PAGES if runner_of(page) == HERE]


def test_the_pages_that_are_run_are_found() -> None:
    assert TUTORIAL in RUN and len(RUN) > 5
    assert len(with_outputs(TUTORIAL)) > 8


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_prints_what_the_page_says(page: Path, system: System, tmp_path: Path) -> None:
    helpers = [] if page == TUTORIAL else [(blocks(TUTORIAL, "bash")[0].text, "")]
    snippets = [*helpers, *with_outputs(page)]
    script = "\n".join(f"{commands}\necho '{NEXT}'" for commands, _ in snippets)
    script = script.replace("URL=http://127.0.0.1:8400", f"URL={system.url}")
    assert system.url in script
    printed = run(script, tmp_path).split(f"{NEXT}\n")
    for (commands, expected), output in zip(snippets, printed, strict=False):
        pattern = re.escape(expected.replace("…", "\0")).replace("\0", r"[^\n]*")
        assert re.fullmatch(pattern, output), f"{commands}\nprints\n{output}\nnot\n{expected}"


def test_the_browser_of_the_page_listens_to_the_events_that_are_sent() -> None:
    [block] = blocks(ROOT / "docs" / "howto" / "live.md", "html")
    documented = (ROOT / "services" / "scoring" / "liveapi.py").read_text()
    sent = set(re.findall(r"^event: (\w+)", documented, re.MULTILINE))
    assert set(re.findall(r'addEventListener\("(\w+)"', block.text)) == sent >= {"snapshot", "change"}
