"""The tutorial, as its reader would follow it: every `bash` block is run, and prints what the `text` block after it says."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.system import ROOT, System

pytestmark = pytest.mark.timeout(180)

TUTORIAL = ROOT / "docs" / "tutorial.md"
NEXT = "=== next block ==="


def blocks(page: Path) -> list[tuple[str, str]]:
    """Commands and what they are said to print, in order."""
    found: list[tuple[str, str]] = []
    for kind, text in re.findall(r"^```(bash|text)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        if kind == "bash":
            found.append((text, ""))
        else:
            found[-1] = (found[-1][0], text)
    return found


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tutorial is written for curl, which is not here")
def test_the_tutorial_prints_what_it_says(system: System) -> None:
    snippets = blocks(TUTORIAL)
    assert len(snippets) > 8
    script = "\n".join(f"{commands}\necho '{NEXT}'" for commands, _ in snippets)
    script = script.replace("URL=http://127.0.0.1:8400", f"URL={system.url}")
    assert system.url in script
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = done.stdout.split(f"{NEXT}\n")
    for (commands, expected), output in zip(snippets, printed, strict=False):
        pattern = re.escape(expected.replace("…", "\0")).replace("\0", r"[^\n]*")
        normalized = output.replace("\r", "")
        assert re.fullmatch(pattern, normalized), f"{commands}\nprints\n{output}\nnot\n{expected}"
