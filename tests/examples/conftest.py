"""One whole system for all tests that only talk to it."""

from collections.abc import Iterator

import pytest

from tests.support.system import System, running_system


@pytest.fixture(scope="package")
def system() -> Iterator[System]:
    with running_system() as running:
        yield running
