"""The mutants stay alive: each patch still applies to the code, says what it breaks, and names tests that exist."""

import subprocess

import pytest

from tests.mutants.page import PAGE, page
from tests.mutants.run import PROJECT, Mutant, all_mutants

MUTANTS = all_mutants()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_applies_and_names_its_tests(mutant: Mutant) -> None:
    checked = subprocess.run(
        ["git", "apply", "--check", "--recount", str(mutant.patch)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert mutant.promise
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert (PROJECT / path).is_file()
        assert f"def {name.partition('[')[0]}(" in (PROJECT / path).read_text() or not name


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(MUTANTS), "run python -m tests.mutants.page"


def test_no_two_mutants_are_one() -> None:
    changes = ["\n".join(_changes(mutant)) for mutant in MUTANTS]
    assert len(set(changes)) == len(changes)


def _changes(mutant: Mutant) -> list[str]:
    return [line for line in mutant.patch.read_text().splitlines() if line.startswith(("+", "-", "diff"))]


def test_every_promise_of_the_kernel_has_its_mutant() -> None:
    assert {
        "naive-cursor",
        "positions-by-sequence-alone",
        "no-lane-lock",
        "ack-before-commit",
        "unsorted-upsert",
        "relay-without-prefix-rule",
        "previous-unchecked",
        "conflicting-row-skipped",
        "cached-head-trusted",
        "two-guards-on-one-snapshot",
        "floating-sums-incremented",
    } <= {mutant.name for mutant in MUTANTS}
