from pathlib import Path

import asyncpg
import pytest

from shared.migrate import MigrationError, migrate, pending


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "toy" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_first.sql").write_text("create table first (a integer);")
    return folder


async def test_each_file_is_applied_once_in_order(database: str, folder: Path) -> None:
    (folder / "0002_second.sql").write_text("alter table first add b integer;")
    assert await migrate(database, folder) == ["toy/0001_first.sql", "toy/0002_second.sql"]
    assert await migrate(database, folder) == []


async def test_a_changed_file_is_refused(database: str, folder: Path) -> None:
    await migrate(database, folder)
    (folder / "0001_first.sql").write_text("create table other (a integer);")
    with pytest.raises(MigrationError, match="changed after"):
        await migrate(database, folder)


async def test_a_database_that_is_ahead_of_the_code_is_refused(database: str, folder: Path) -> None:
    (folder / "0002_second.sql").write_text("select 1;")
    await migrate(database, folder)
    (folder / "0002_second.sql").unlink()
    with pytest.raises(MigrationError, match="older"):
        await migrate(database, folder)


async def test_a_file_that_fails_leaves_nothing_behind(database: str, folder: Path) -> None:
    (folder / "0002_second.sql").write_text("create table half (a integer); select 1 / 0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database, folder)
    connection = await asyncpg.connect(database)
    try:
        assert await connection.fetchval("select to_regclass('first') is not null and to_regclass('half') is null")
        assert await pending(connection, folder) == ["toy/0002_second.sql"]
    finally:
        await connection.close()


async def test_pending_names_everything_before_the_first_migration(database: str, folder: Path) -> None:
    connection = await asyncpg.connect(database)
    try:
        assert await pending(connection, folder) == ["migrations"]
    finally:
        await connection.close()
    await migrate(database, folder)


async def test_two_at_once_do_not_disturb_each_other(database: str, folder: Path) -> None:
    import asyncio

    applied = await asyncio.gather(*(migrate(database, folder) for _ in range(5)))
    assert sorted(map(len, applied)) == [0, 0, 0, 0, 1]
