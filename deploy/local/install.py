"""Install what the project needs into `.venv`, once per change of the lock. Run by any python3, before all else.

Everything is pinned by hash: pip fetches uv, uv fetches the rest. Nothing is written outside of the project's folder.
"""

import hashlib
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INSTALLER_LOCK = os.path.join(ROOT, "deploy", "local", "installer.lock")
LOCK = os.path.join(ROOT, "requirements.lock")
ENVIRONMENT = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(ENVIRONMENT, "bin", "python")
STAMP = os.path.join(ENVIRONMENT, "installed")
NEEDED = (3, 11)


def main() -> None:
    if sys.version_info < NEEDED:
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(
            "Qunli needs Python 3.11 or newer; python3 is {0}. Name another one: make PYTHON=python3.12 …".format(found)
        )
    wanted = _fingerprint()
    if _read(STAMP) == wanted and os.access(PYTHON, os.X_OK):
        return
    print("Installing into .venv (some minutes at most, once) …", file=sys.stderr, flush=True)
    if not os.access(PYTHON, os.X_OK):
        _run("making .venv failed; on Debian, install python3-venv", [sys.executable, "-m", "venv", ENVIRONMENT])
    cache = os.path.join(ROOT, ".cache")
    settings = dict(os.environ, PIP_CACHE_DIR=os.path.join(cache, "pip"), UV_CACHE_DIR=os.path.join(cache, "uv"))
    settings.update(UV_COMPILE_BYTECODE="1", UV_PYTHON_DOWNLOADS="never", VIRTUAL_ENV=ENVIRONMENT)
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
    _run("installing uv failed", [*pip, "--only-binary", ":all:", "-r", INSTALLER_LOCK], settings)
    uv = [os.path.join(ENVIRONMENT, "bin", "uv"), "pip", "sync", "--quiet", "--require-hashes", LOCK]
    _run("installing the dependencies failed", uv, settings)
    with open(STAMP, "w") as file:
        file.write(wanted)


def _fingerprint() -> str:
    """Of everything that what is installed depends on, the place included: scripts name their interpreter by path."""
    texts = [_read(INSTALLER_LOCK), _read(LOCK), sys.version, ENVIRONMENT]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def _run(failure: str, command: "list[str]", settings: "dict[str, str] | None" = None) -> None:
    if subprocess.run(command, env=settings, stdin=subprocess.DEVNULL, check=False).returncode != 0:
        sys.exit("{0}: {1}".format(failure, " ".join(command)))


if __name__ == "__main__":
    main()
