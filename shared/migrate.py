"""Apply numbered SQL files to a database, each once, in order."""

import hashlib
from pathlib import Path

import asyncpg

KERNEL = Path(__file__).parent / "sql"
"""The kernel's own migrations; applied to every service's database before the service's."""


class MigrationError(Exception):
    """The folder and the database do not fit together."""


async def migrate(dsn: str, *folders: Path) -> list[str]:
    """Bring the database at `dsn` up to date with `folders`, each file in a transaction of its own.

    A file is `NNNN_name.sql`; its folder's path below the project is the module under which it is recorded.

    Returns:
        The files applied, as `<module>/<file name>`.

    Raises:
        MigrationError: an applied file was changed, or is missing from its folder.
    """
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute("select pg_advisory_lock(hashtext('qunli migrations'))")
        await connection.execute(
            """
            create table if not exists migrations (
                module text not null, number integer not null, name text not null, checksum text not null,
                applied_at timestamptz not null default clock_timestamp(), primary key (module, number))
            """
        )
        applied = []
        for folder in folders:
            applied += await _apply(connection, folder)
        return applied
    finally:
        await connection.close()


async def pending(connection: asyncpg.Connection, *folders: Path) -> list[str]:
    """The files of `folders` that the database lacks; for readiness."""
    if not await connection.fetchval("select to_regclass('migrations') is not null"):
        return ["migrations"]
    rows = await connection.fetch("select module, number from migrations")
    done = {(row["module"], row["number"]) for row in rows}
    return [
        f"{module_of(folder)}/{file.name}"
        for folder in folders
        for number, file in _files(folder)
        if (module_of(folder), number) not in done
    ]


def module_of(folder: Path) -> str:
    """`shared` for shared/sql, `membership` for services/membership/migrations."""
    return folder.parent.name


def _files(folder: Path) -> list[tuple[int, Path]]:
    return sorted((int(file.name.split("_", 1)[0]), file) for file in folder.glob("*.sql"))


async def _apply(connection: asyncpg.Connection, folder: Path) -> list[str]:
    module = module_of(folder)
    rows = await connection.fetch("select number, name, checksum from migrations where module = $1", module)
    known = {row["number"]: row for row in rows}
    files = _files(folder)
    if missing := known.keys() - {number for number, _ in files}:
        raise MigrationError(
            f"{module}: migration {min(missing)} was applied, but its file is gone. Is this code older?"
        )
    applied = []
    for number, file in files:
        text = file.read_text()
        checksum = hashlib.sha256(text.encode()).hexdigest()
        if number in known:
            if known[number]["checksum"] != checksum:
                raise MigrationError(f"{module}/{file.name} was changed after it was applied. Add a new file instead.")
            continue
        async with connection.transaction():
            await connection.execute("set local lock_timeout = '5s'")
            await connection.execute(text)
            await connection.execute(
                "insert into migrations (module, number, name, checksum) values ($1, $2, $3, $4)",
                module,
                number,
                file.name,
                checksum,
            )
        applied.append(f"{module}/{file.name}")
    return applied
