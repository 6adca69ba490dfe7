"""The toy service, open."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.shared.http.toy import Client, toy_client


@pytest.fixture
async def client(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Client]:
    async with toy_client(tmp_path) as opened:
        yield opened
