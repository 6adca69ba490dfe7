"""An ordinary user, for tests that run as root."""

import subprocess
import sys
from pathlib import Path

import asyncpg

NOBODY = (65534, 65534)
"""User and group id."""


def python(module: str) -> str | None:
    """A Python that the user nobody can run, with what `module` imports; None if there is none."""
    return next((path for path in (sys.executable, "/usr/bin/python3") if _usable(path, module)), None)


def environment() -> dict[str, str]:
    """For that Python: where the project and its packages are."""
    packages = Path(asyncpg.__file__).parents[1]
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{Path.cwd()}:{packages}", "PYTHONDONTWRITEBYTECODE": "1"}


def _usable(path: str, module: str) -> bool:
    try:
        answer = subprocess.run(
            [path, "-c", f"import {module}"],
            env=environment(),
            user=NOBODY[0],
            group=NOBODY[1],
            extra_groups=[],
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except PermissionError:
        return False
    return answer.returncode == 0
