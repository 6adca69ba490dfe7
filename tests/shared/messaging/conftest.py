"""A database for the toy projection."""

from collections.abc import AsyncIterator

import pytest

from shared.database import Pool, open_writer
from tests.support.toy import TABLES


@pytest.fixture
async def toy_pool(kernel_database: str) -> AsyncIterator[Pool]:
    """A pool on a database with the kernel's tables and the toy's."""
    pool = await open_writer(kernel_database, name="toy", size=8)
    await pool.execute(TABLES)
    yield pool
    await pool.close()
