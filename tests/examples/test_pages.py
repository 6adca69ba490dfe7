"""The words of the project: links lead somewhere, tables say what the code says, examples in Python work."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from shared.settings import Settings
from tests.support import pages
from tests.support.system import ROOT, run_tool

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITHOUT_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    text = WITHOUT_CODE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        assert "://" not in target, f"{target}: pages must be whole without a network"
        assert (page.parent / target.partition("#")[0]).exists(), target


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


def test_settings_and_metrics_are_as_in_the_code() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    text = pages.OPERATIONS.read_text()
    assert text == pages.with_tables(text), "run: python -m tests.support.pages"


def test_every_role_is_explained() -> None:
    _, usage = run_tool("services.content", "--help")
    roles = usage.split("{")[1].split("}")[0].split(",")
    assert {"api", "relay", "consume", "migrate"} <= set(roles)
    text = pages.OPERATIONS.read_text()
    assert [
        role for role in roles if not re.search(rf"^\| `{role}\b.*` ", text, re.MULTILINE) and f", `{role} " not in text
    ] == []


class Heard(NamedTuple):
    headers: list[tuple[str, bytes]]


def record(position: str, previous: str) -> Heard:
    return Heard([("ce_id", b"x"), ("ce_position", position.encode()), ("ce_previous", previous.encode())])


def test_the_reader_of_the_events_page_drops_repeats_and_sees_gaps() -> None:
    (source,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/events.md").read_text(), re.MULTILINE | re.DOTALL)
    namespace: dict[str, object] = {}
    exec(source, namespace)
    new_facts = namespace["new_facts"]
    assert callable(new_facts)

    first, second, third = record("1-5-1", "0-0-0"), record("1-9-1", "1-5-1"), record("1-9-12", "1-9-1")
    read = list(new_facts([first, second, first, second, third], (0, 0, 0)))
    assert read == [(first, (1, 5, 1)), (second, (1, 9, 1)), (third, (1, 9, 12))]
    assert list(new_facts([second, third], (1, 9, 1))) == [(third, (1, 9, 12))]
    with pytest.raises(RuntimeError, match="missing"):
        list(new_facts([first, third], (0, 0, 0)))
    with pytest.raises(RuntimeError, match="missing"):
        list(new_facts([second], (0, 0, 0)))
    with pytest.raises(RuntimeError, match="restored"):
        list(new_facts([record("2-3-1", "1-5-1")], (1, 5, 1)))
