"""What the metrics of a service say of all that waits for others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import REGISTRY

from shared.lifecycle import running
from shared.observability import metrics
from shared.service import Definition
from tests.support.relaying import until
from tests.support.serving import Served

NOT_MEASURED = -1.0


@asynccontextmanager
async def watched(definition: Definition[Any], served: Served) -> AsyncIterator[None]:
    """Measured anew on entering, and then every two seconds."""
    for gauge in (metrics.UNSETTLED, metrics.UNSETTLED_OLDEST_AGE_SECONDS):
        # What an earlier test left may be the number that is waited for.
        gauge.labels(definition.name).set(NOT_MEASURED)
    make = definition.upkeep["watch"]
    async with running({"watch": make(served.kernel.writer)}):
        yield


async def until_waiting(service: str, number: int) -> float:
    """Wait until so many are said to wait; return how long the oldest is said to have been waiting."""

    async def said() -> bool:
        return _value("qunli_unsettled", service) == number

    await until(said)
    return _value("qunli_unsettled_oldest_age_seconds", service)


def _value(name: str, service: str) -> float:
    value = REGISTRY.get_sample_value(name, {"service": service})
    return NOT_MEASURED if value is None else value
