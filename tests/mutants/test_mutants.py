"""The mutants stay alive: each patch still applies to the code, says what it breaks, and names tests that exist."""

import subprocess

import pytest

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
