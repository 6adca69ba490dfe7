"""Break each promise once and see that the tests which guard it fail: `make mutants`.

A mutant is a patch in this folder. The lines before its first `diff` say what is broken: `Promise:` and `Tests:` (arguments
for pytest). The tests must pass without the patch and fail, not err, with it.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

FOLDER = Path(__file__).parent
PROJECT = FOLDER.parents[1]
SECONDS = 300
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
    """A copy of the project as it stands in the working tree."""
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
    for name in SHARED:
        (target / name).symlink_to(PROJECT / name)


def run_tests(folder: Path, tests: tuple[str, ...]) -> tuple[int, str]:
    """pytest's exit code, and the end of what it printed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", *tests]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return -1, f"no end within {SECONDS} s"
    return done.returncode, done.stdout[-2000:]


def try_mutant(mutant: Mutant) -> str | None:
    """Why the mutant was not caught, or None if it was."""
    with tempfile.TemporaryDirectory(prefix=f"qunli-{mutant.name}-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        copy(folder)
        applied = subprocess.run(
            ["git", "apply", "--recount", str(mutant.patch)], cwd=folder, capture_output=True, text=True, check=False
        )
        if applied.returncode != 0:
            return f"the patch does not apply: {applied.stderr.strip()}"
        code, said = run_tests(folder, mutant.tests)
    if code == 1 and " failed" in said:
        return None
    return f"pytest ended with {code}, not with a failed test:\n{said}"


def main() -> int:
    """Run all mutants, or those named; print a table; 0 if every one was caught."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these")
    names = set(parser.parse_args().names)
    mutants = [mutant for mutant in all_mutants() if not names or mutant.name in names]
    if not mutants or names - {mutant.name for mutant in mutants}:
        print(f"no such mutant; there are: {', '.join(mutant.name for mutant in all_mutants())}")
        return 2
    tests = tuple(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
    code, said = run_tests(PROJECT, tests)
    if code != 0:
        print(f"Without any mutant the tests must pass, and they do not:\n{said}")
        return 1
    with ThreadPoolExecutor(2) as pool:
        results = list(tqdm(pool.map(try_mutant, mutants), total=len(mutants), unit="mutant"))
    for mutant, missed in zip(mutants, results, strict=True):
        print(f"{'MISSED' if missed else 'caught'}  {mutant.name:<32} {mutant.promise}")
        if missed:
            print(missed)
    missed_ones = sum(missed is not None for missed in results)
    print(f"{len(mutants) - missed_ones} caught, {missed_ones} missed")
    return 1 if missed_ones else 0


if __name__ == "__main__":
    sys.exit(main())
