"""Where a server may keep its files when it runs as another user than we do."""

import hashlib
import os
import shutil
import stat
from pathlib import Path

from deploy.local.processes import ServerFailed

OUTSIDE = Path("/var/tmp")  # noqa: S108 - what lies there is checked to be ours; it survives a restart of the machine


def reachable(path: Path, user_id: int) -> bool:
    """Whether that user can walk down to the folder `path` (its own group memberships aside)."""
    path = Path(os.path.realpath(path))
    for folder in (path, *path.parents):
        status = folder.stat()
        needed = stat.S_IXUSR if status.st_uid == user_id else stat.S_IXOTH
        if not status.st_mode & needed:
            return False
    return True


def make_folder(path: Path) -> Path:
    """Make the folder and what is missing above it, open to all whatever the umask; leave existing ones as they are."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
    return path


def outside(folder: Path) -> Path:
    """The stand-in for a folder that another user cannot reach: same place for the same folder."""
    name = hashlib.sha256(os.path.realpath(folder).encode()).hexdigest()[:16]
    return OUTSIDE / f"qunli-{name}"


def make_outside(folder: Path) -> Path:
    """Make the stand-in, or take the one that stands.

    Raises:
        ServerFailed: somebody else made a folder of that name.
    """
    path = outside(folder)
    try:
        path.mkdir()
        path.chmod(0o755)
    except FileExistsError:
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise ServerFailed(f"{path} belongs to somebody else. Remove it, or use another folder.") from None
    return path


def copy_of(source: Path, target: Path) -> Path:
    """A copy of the tree, made once."""
    if not target.exists():
        unfinished = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.copytree(source, unfinished, symlinks=True)
        for folder, _, files in os.walk(unfinished):
            os.chmod(folder, 0o755)  # noqa: S103 - the copy of public binaries
            for file in files:
                if not os.path.islink(path := os.path.join(folder, file)):
                    os.chmod(path, 0o755 if os.access(path, os.X_OK) else 0o644)
        unfinished.rename(target)
    return target
