"""Make the secrets that compose.yaml mounts as files, once: `python3 deploy/compose/make_secrets.py`. What exists is kept."""

import os
import secrets
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "secrets"
SERVICES = ("membership", "content", "campaigns", "scoring")


def main(folder: Path = FOLDER) -> int:
    """Write the files; 1 if only some of them are there, which no guess can mend."""
    names = {"postgres_password", "postgres_setup", "grafana_password", *(f"{name}_database_url" for name in SERVICES)}
    found = {name for name in names if (folder / name).exists()}
    if found == names:
        print(f"All secrets are in {folder} already.")
        return 0
    if found:
        print(
            f"{folder} lacks {', '.join(sorted(names - found))}. Restore them, or remove the folder.", file=sys.stderr
        )
        return 1
    folder.mkdir(mode=0o700, exist_ok=True)
    passwords = {name: secrets.token_hex(24) for name in SERVICES}
    _write(folder / "postgres_password", secrets.token_hex(24))
    _write(folder / "grafana_password", secrets.token_hex(16))
    _write(folder / "postgres_setup", "".join(f"{name} {password}\n" for name, password in passwords.items()))
    for name, password in passwords.items():
        _write(folder / f"{name}_database_url", f"postgresql://{name}:{password}@postgres:5432/{name}")
    print(f"Secrets are in {folder}. Keep them out of version control.")
    return 0


def _write(path: Path, text: str) -> None:
    # Containers read them as users of their own; the folder is closed to everybody else.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main())
