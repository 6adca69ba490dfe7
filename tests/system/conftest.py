"""One whole system, as `make run` starts it, for the tests of what crosses services."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.system import System, running_system
from tests.system.callers import Callers


@pytest.fixture(scope="package")
def system() -> Iterator[System]:
    with running_system() as running:
        yield running


@pytest.fixture(scope="package")
def callers(system: System) -> Iterator[Callers]:
    with httpx.Client(base_url=system.url, timeout=20) as http:
        yield Callers(http)
