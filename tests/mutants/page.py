"""docs/mutants.md: every promise that has a mutant, part by part. `python -m tests.mutants.page` writes it."""

import re
from collections.abc import Iterable

from tests.mutants.run import PROJECT, Mutant, all_mutants

PAGE = PROJECT / "docs" / "mutants.md"

PARTS = {
    "Writing": r"shared/(commands/|eventstore|sql/0002)",
    "Leaving the house: outbox, relay, watermarks": r"shared/(messaging/(outbox|relay|watermarks|republish|epochs)|sql/0004)",
    "The log": r"shared/messaging/(kafka|local)",
    "Coming in: lanes, parked keys, tokens": r"shared/(messaging/|position|sql/0003)",
    "Contracts": r"shared/compatibility|services/\w+/publishing",
    "The edge": r"shared/(http/|moments)",
    "Numbers": r"services/scoring/",
    "Membership, content, campaigns": r"services/",
    "Imports": r"deploy/",
    "Everything else": r"",
}
"""Which files hold what a part promises; the first that fits counts."""

_HEAD = """# Promises, and the tests that would notice

Each line is a promise of this system, a mutant (a small patch in `tests/mutants/` that breaks it) and the tests that fail
then. `make mutants` breaks each promise once, on a copy of the project, and ends with 0 only if every mutant was caught by a
failed test. `make mutants ONLY="naive-cursor no-lane-lock"` tries some of them. Whoever makes a promise adds a patch.

This page is made from the patches: `python -m tests.mutants.page`.
"""


def part_of(mutant: Mutant) -> str:
    """The part to which the first file belongs that the mutant changes."""
    changed = re.search(r"^diff --git a/(\S+)", mutant.patch.read_text(), re.MULTILINE)
    assert changed is not None
    return next(part for part, files in PARTS.items() if re.match(files, changed[1]))


def page(mutants: Iterable[Mutant]) -> str:
    """The whole page."""
    lines = [_HEAD]
    by_part: dict[str, list[Mutant]] = {part: [] for part in PARTS}
    for mutant in mutants:
        by_part[part_of(mutant)].append(mutant)
    for part, found in by_part.items():
        if found:
            lines += [f"## {part}\n", "| promise | mutant | tests |", "| --- | --- | --- |"]
            lines += [_row(mutant) for mutant in found]
            lines.append("")
    return "\n".join(lines)


def _row(mutant: Mutant) -> str:
    tests = ", ".join(f"`{test.removeprefix('tests/')}`" for test in mutant.tests)
    promise = mutant.promise[0].upper() + mutant.promise[1:]
    return f"| {promise} | `{mutant.name}` | {tests} |"


if __name__ == "__main__":
    PAGE.write_text(page(all_mutants()))
