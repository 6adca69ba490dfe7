"""Membership, served."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.membership.definition import MEMBERSHIP
from tests.support.databases import Databases
from tests.support.serving import Served, serving


@pytest.fixture
async def membership(databases: Databases, anyio_backend: str, tmp_path: Path) -> AsyncIterator[Served]:
    template = await databases.template(*MEMBERSHIP.migrations)
    async with databases.fresh(template=template) as dsn, serving(MEMBERSHIP, dsn, tmp_path) as served:
        yield served
