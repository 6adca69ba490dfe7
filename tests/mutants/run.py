"""Break each promise once and see that the tests which guard it fail: `make mutants`.

A mutant is a patch in this folder. The lines before its first `diff` say what is broken: `Promise:` and `Tests:` (arguments
for pytest). The tests must pass without the patch and fail, not err, with it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

FOLDER = Path(__file__).parent
PROJECT = FOLDER.parents[1]
SECONDS = 600
"""For the tests of one mutant; a test that is harmed may hang."""
_FAILED = re.compile(r"^FAILED \S*?::(.*)$", re.MULTILINE)
_WITHOUT = ("-p", "no:schemathesis", "-p", "no:hypothesispytest")
"""Plugins that no test here needs, and that take longer to import than most of these tests to run."""
SHARED = (".venv", ".cache")
"""Not copied but linked: what was installed and downloaded."""


@dataclass(frozen=True)
class Mutant:
    """A patch and what it breaks.

    Attributes:
        tests: arguments for pytest.
    """

    name: str
    promise: str
    tests: tuple[str, ...]
    patch: Path


class Tried(NamedTuple):
    """What became of a mutant.

    Attributes:
        why: how the test failed that caught it, in a line (a test that ran out of time may have been harmed by something
            else); or why it was not caught.
    """

    caught: bool
    why: str


def read(patch: Path) -> Mutant:
    """Read the head of a patch.

    Raises:
        ValueError: it does not say what it breaks and which tests guard it.
    """
    head = patch.read_text().split("diff --git", 1)[0]
    said = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    try:
        return Mutant(patch.stem, said["Promise"], tuple(said["Tests"].split()), patch)
    except KeyError as missing:
        raise ValueError(f"{patch.name} lacks the line {missing}") from None


def all_mutants() -> list[Mutant]:
    return [read(patch) for patch in sorted(FOLDER.glob("*.patch"))]


def copy(target: Path) -> None:
    """A copy of the project as it stands in the working tree, with what Python has compiled of it: what is older than its
    source it compiles anew."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (PROJECT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target / name)
    for folder in {
        Path(name).parent for name in filter(None, listed.stdout.decode().split("\0")) if name.endswith(".py")
    }:
        if (compiled := PROJECT / folder / "__pycache__").is_dir() and (target / folder).is_dir():
            shutil.copytree(compiled, target / folder / "__pycache__")
    for name in SHARED:
        (target / name).symlink_to(PROJECT / name)


def run_tests(folder: Path, tests: tuple[str, ...], *, seconds: int = SECONDS) -> tuple[int, str]:
    """pytest's exit code, and what it printed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", *_WITHOUT, *tests]
    environment = {**os.environ, "COLUMNS": "200"}  # room for reasons in pytest's summary
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return -1, f"no end within {seconds} s"
    return done.returncode, done.stdout + done.stderr


def try_mutant(mutant: Mutant) -> Tried:
    """Run its tests on a copy of the project that it has spoilt."""
    with tempfile.TemporaryDirectory(prefix=f"qunli-{mutant.name}-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        copy(folder)
        applied = subprocess.run(
            ["git", "apply", "--recount", str(mutant.patch)], cwd=folder, capture_output=True, text=True, check=False
        )
        if applied.returncode != 0:
            return Tried(False, f"the patch does not apply: {applied.stderr.strip()}")
        code, said = run_tests(folder, mutant.tests)
    if code == 1 and (failed := _FAILED.search(said)):
        return Tried(True, failed[1])
    return Tried(False, f"pytest ended with {code}, not with a failed test:\n{said[-2000:]}")


def main() -> int:
    """Run all mutants, or those named; print what became of each; 0 if every one was caught."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="mutants at a time; each has servers of its own"
    )
    options = parser.parse_args()
    names = set(options.names)
    mutants = [mutant for mutant in all_mutants() if not names or mutant.name in names]
    if not mutants or names - {mutant.name for mutant in mutants}:
        print(f"no such mutant; there are: {', '.join(mutant.name for mutant in all_mutants())}")
        return 2
    tests = tuple(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
    code, said = run_tests(PROJECT, tests, seconds=SECONDS + 30 * len(tests))
    if code != 0:
        print(f"Without any mutant the tests must pass, and they do not:\n{said[-2000:]}")
        return 1
    missed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        results = tqdm(pool.map(try_mutant, mutants), total=len(mutants), unit="mutant")
        for mutant, tried in zip(mutants, results, strict=True):
            missed += not tried.caught
            verdict = "caught" if tried.caught else "MISSED"
            tqdm.write(f"{verdict}  {mutant.name:<32} {mutant.promise}\n        {tried.why}")
    print(f"{len(mutants) - missed} caught, {missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
