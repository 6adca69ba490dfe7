"""A copy of a database, as it comes out of a backup, before its epoch is raised."""

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.local.postgres import binaries
from services.membership.definition import MEMBERSHIP
from shared.messaging.epochs import raise_epoch
from shared.messaging.local import LocalLog
from shared.migrate import migrate
from tests.support.databases import Databases
from tests.support.serving import serving
from tests.system.callers import FOUNDING

pytestmark = pytest.mark.postgres


async def test_a_copy_records_nothing_until_its_epoch_is_raised(databases: Databases, tmp_path: Path) -> None:
    async with databases.fresh() as dsn:
        await migrate(dsn, *MEMBERSHIP.migrations)
        assert await found(dsn, tmp_path) == "201"
        async with databases.fresh(template=urlsplit(dsn).path.removeprefix("/")) as copy:
            assert await found(copy, tmp_path) == "database-restored"
            assert await facts(copy) == await facts(dsn)
            assert await migrate(copy, *MEMBERSHIP.migrations) == []
            assert await found(copy, tmp_path) == "database-restored"

            async with databases.fresh() as log_dsn:
                log = await LocalLog.open(log_dsn)
                await log.create_topics(["membership.events"], partitions=12)
                await raise_epoch(copy, log, "membership.events", service="membership", partitions=12)
                await log.close()
            assert await found(copy, tmp_path) == "201"
        assert await found(dsn, tmp_path) == "201"


async def test_so_does_a_backup_that_is_restored_in_its_old_place(databases: Databases, tmp_path: Path) -> None:
    dump, programs = tmp_path / "membership.dump", binaries() / "bin"
    async with databases.fresh() as dsn:
        await migrate(dsn, *MEMBERSHIP.migrations)
        assert await found(dsn, tmp_path) == "201"
        backed_up = await facts(dsn)
        subprocess.run([programs / "pg_dump", "--format=custom", f"--file={dump}", dsn], check=True)
        assert await found(dsn, tmp_path) == "201"
        subprocess.run([programs / "pg_restore", "--clean", "--no-owner", f"--dbname={dsn}", dump], check=True)
        assert await found(dsn, tmp_path) == "database-restored"
        assert await facts(dsn) == backed_up


async def found(dsn: str, folder: Path) -> str:
    """Found a community: the status, or the problem. The service is ready exactly if it may be founded."""
    async with serving(MEMBERSHIP, dsn, folder) as served:
        answer = await served.person("ana").post("v1/communities", FOUNDING)
        ready = await served.kernel.ready()
        if answer.status_code == 503:
            assert ready == ["the database was restored: raise its epoch"]
            return str(answer.json()["type"].removeprefix("/problems/"))
        assert ready == []
        return str(answer.status_code)


async def facts(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("select to_jsonb(events)::text from events order by sequence")
    await connection.close()
    return [row[0] for row in rows]
