"""One whole system, as `make run` starts it, for the tests of what crosses services."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.system import System, system
from tests.system.callers import Callers

__all__ = ["callers", "system"]


@pytest.fixture(scope="package")
def callers(system: System) -> Iterator[Callers]:
    with httpx.Client(base_url=system.url, timeout=20) as http:
        yield Callers(http)
