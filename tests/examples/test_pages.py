"""The words of the project: links lead somewhere, tables say what the code says, examples in Python work."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from shared.messaging.epochs import RAISED
from shared.settings import Settings
from tests.examples.snippets import PAGES, blocks, runner_of
from tests.support import pages
from tests.support.published import WATERMARK, every_declared_message
from tests.support.system import ROOT, run_tool

KINDS = {"bash", "sh", "python", "sql", "json", "html", "text"}
WITHOUT_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", WITHOUT_CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = WITHOUT_CODE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        assert "://" not in target, f"{target}: pages must be whole without a network"
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), f"{target}: there is no such heading"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached = {ROOT / "README.md"}
    waiting = list(reached)
    while waiting:
        page = waiting.pop()
        if page.is_dir():
            linked = set(page.glob("*.md"))
        else:
            linked = {(page.parent / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)", page.read_text())}
        waiting += [one for one in linked - reached if one.is_dir() or one.suffix == ".md"]
        reached |= linked
    assert set(PAGES) - reached == set()


def test_the_readme_names_every_folder() -> None:
    ignored = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()}
    folders = {entry.name for entry in ROOT.iterdir() if entry.is_dir() and not entry.name.startswith(".")} - ignored
    named = set(re.findall(r"^\| `(\w+)/` \|", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named == folders


def test_the_readme_names_every_command_but_the_helpers() -> None:
    makefile, readme = (ROOT / "Makefile").read_text(), (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE)) - {"help", "install", "check", "fix", "lock"}
    assert {
        target for target in targets if f"`make {target}" not in readme and f"\nmake {target}" not in readme
    } == set()
    assert set(re.findall(r"\bmake ([a-z]+)\b(?= |`|\n)", readme)) - targets - {"it"} == set()


def test_every_role_is_explained() -> None:
    _, usage = run_tool("services.content", "--help")
    roles = usage.split("{")[1].split("}")[0].split(",")
    assert {"api", "relay", "consume", "migrate"} <= set(roles)
    text = pages.OPERATIONS.read_text()
    assert [
        role for role in roles if not re.search(rf"^\| `{role}\b.*` ", text, re.MULTILINE) and f", `{role} " not in text
    ] == []


def test_every_page_made_from_the_code_is_current() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    stale = [str(page.relative_to(ROOT)) for page, text in pages.made().items() if page.read_text() != text]
    assert stale == [], "run: python -m tests.support.pages"


def test_every_type_of_message_is_on_the_page_of_events() -> None:
    named = set(re.findall(r"`(\w+\.[a-z-]+\.v\d+)`", (ROOT / "docs" / "events.md").read_text()))
    declared = {name for _, name in every_declared_message()} - {WATERMARK}
    assert named == {name for name in declared if not name.endswith(f".{RAISED}")}
    assert f"`<service>.{RAISED}`" in (ROOT / "docs" / "events.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    """A page names the test that runs it in its first line, a block that none runs has its reason in the line before."""
    by = runner_of(page)
    if by:
        assert page.name in (ROOT / by).read_text() or by == "tests/examples/test_docs.py", f"{by} does not run it"
    before = ""
    for block in blocks(page):
        place = f"{page.relative_to(ROOT)}:{block.line}"
        assert block.kind in KINDS, f"{place}: what is {block.kind!r}?"
        if block.kind == "text" and not block.mark:
            assert before in {"bash", "sh"}, (
                f"{place}: the output of which command? A picture says `<!-- a picture -->`"
            )
        elif block.mark.startswith("run by "):
            assert (ROOT / block.mark.removeprefix("run by ").partition(",")[0]).is_file(), f"{place}: {block.mark}"
        elif block.mark.startswith("not run: "):
            assert len(block.mark) > 25, f"{place}: that is no reason"
        elif block.kind != "text":
            assert by, f"{place}: nothing runs this block, and no reason is given"
        before = block.kind


def test_every_make_that_a_page_tells_is_one_that_make_knows() -> None:
    commands = {
        line.partition(" #")[0].strip()
        for page in PAGES
        for block in blocks(page, "bash")
        for line in block.text.splitlines()
        if line.startswith("make ")
    }
    assert {"make run", "make test", "make demo", "make kafka", "make run LOG=kafka"} <= commands
    for command in sorted(commands):
        done = subprocess.run(
            ["make", "-n", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 and ".venv/bin/python -m" in done.stdout, f"{command}: {done.stderr}"


def test_every_module_that_a_page_tells_to_run_is_there() -> None:
    modules = {
        module
        for page in PAGES
        for module in re.findall(r"python3? -m ([a-z_.]+[a-z_])", page.read_text())
        if module.split(".")[0] in {"shared", "services", "deploy", "tests"}
    }
    assert len(modules) > 5
    assert [module for module in sorted(modules) if importlib.util.find_spec(module) is None] == []


def test_every_route_that_a_page_names_is_served() -> None:
    routes = re.findall(r"^\| `([A-Z]+) (/\S+)` \|", (ROOT / "docs" / "routes.md").read_text(), re.MULTILINE)
    served = [(method, re.compile(re.sub(r"\{\w+\}", r"[^/]+", path))) for method, path in routes]
    named = [
        (page.name, *route)
        for page in PAGES
        for route in re.findall(r"`(GET|POST|PATCH|DELETE) (/\w+/v1/[^`\s?…]+)[^`]*`", page.read_text())
    ]
    assert len(named) > 20
    assert [
        (where, verb, path)
        for where, verb, path in named
        if not any(verb == method and pattern.fullmatch(path) for method, pattern in served)
    ] == []
