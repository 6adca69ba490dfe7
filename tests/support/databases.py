"""Databases for tests, made from a template so that each costs some milliseconds."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from deploy.local.postgres import EmbeddedPostgres

KERNEL = Path(__file__).parents[2] / "shared" / "sql"


class Databases:
    """Makes and drops databases of one cluster."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres
        self._templates: dict[tuple[Path, ...], str] = {}

    @asynccontextmanager
    async def fresh(self, template: str | None = None) -> AsyncIterator[str]:
        """The DSN of a new database, dropped afterwards."""
        name = f"test_{uuid.uuid4().hex[:16]}"
        await self._postgres.ensure_database(name, template=template)
        try:
            yield self._postgres.dsn(name)
        finally:
            await self._postgres.drop_database(name)

    async def kernel_template(self) -> str:
        """The name of a database with the kernel's tables."""
        return await self.template(KERNEL)

    async def template(self, *folders: Path) -> str:
        """The name of a database to which the migrations of these folders were applied; made once per run."""
        if folders not in self._templates:
            from shared.migrate import migrate

            name = f"template_{len(self._templates)}"
            await self._postgres.ensure_database(name)
            await migrate(self._postgres.dsn(name), *folders)
            await let_copies_take_facts(self._postgres.dsn(name))
            self._templates[folders] = name
        return self._templates[folders]


async def let_copies_take_facts(dsn: str) -> None:
    """What is copied of this database is no restored backup."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("update database_epoch set home = null")
    await connection.close()
