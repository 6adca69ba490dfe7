"""What runs of a service: its API, its relay, its consumer; alone with probes, or beside each other in one process."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from shared.commands.upkeep import forget_expired_keys
from shared.database import Pool, open_writer
from shared.http import operating
from shared.http.app import create_app
from shared.http.jwks import Keys
from shared.lifecycle import Run, running
from shared.messaging.consumer import Consumer
from shared.messaging.log import Log
from shared.messaging.logs import open_log
from shared.messaging.relay import Relay
from shared.messaging.watermarks import WatermarkReader
from shared.service import Definition, Kernel, close_pool, open_kernel
from shared.settings import Settings


@dataclass(frozen=True)
class Worker:
    """A relay or a consumer at work, as its probes see it."""

    ready: Callable[[], list[str]]
    live: Callable[[], list[str]]


def _alone(_: Kernel) -> AbstractAsyncContextManager[None]:
    return nullcontext()


def api_app(
    definition: Definition[Any],
    settings: Settings,
    *,
    keys: Keys | None = None,
    beside: Callable[[Kernel], AbstractAsyncContextManager[None]] = _alone,
) -> FastAPI:
    """The service's API.

    Args:
        keys: where token keys come from, if not from the settings.
        beside: what else runs in this process on the same kernel, for as long as the API does.
    """

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        async with open_kernel(definition, settings) as kernel, beside(kernel):
            projection = definition.projection(settings) if definition.projection is not None else None
            app.state.operator = operating.Operator(kernel.writer, projection)
            yield definition.open(kernel)

    app = create_app(
        name=definition.name,
        title=definition.title,
        description=definition.description,
        settings=settings,
        open_service=opened,
        routers=(*definition.routers(), *operating.routers(listens=definition.projection is not None)),
        roots=definition.roots,
        schemas=definition.folder / "contracts",
        asyncapi=lambda: definition.asyncapi(partitions=settings.partitions),
        keys=keys,
    )
    return app


def relay_app(definition: Definition[Any], settings: Settings) -> FastAPI:
    """The relay, and probes that tell how it is."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Worker]:
        async with _log_and_pool(definition, settings, connections=2) as (log, pool):
            relay = make_relay(definition, settings, log)
            async with running(relay_tasks(definition, settings, relay, pool)):
                yield Worker(ready=relay.not_ready, live=list)

    return _probes(definition, settings, "relay", opened)


def consumer_app(definition: Definition[Any], settings: Settings) -> FastAPI:
    """The consumer, its upkeep, and probes that tell how it is."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Worker]:
        connections = settings.consumer_workers + 2 + len(definition.upkeep)
        async with _log_and_pool(definition, settings, connections=connections) as (
            log,
            pool,
        ):
            consumer = make_consumer(definition, settings, pool, log)
            tasks = consumer_tasks(definition, consumer, pool)
            async with AsyncExitStack() as stack:
                if definition.background:
                    kernel = await stack.enter_async_context(open_kernel(definition, settings))
                    tasks |= background_tasks(kernel, log)
                await stack.enter_async_context(running(tasks))
                yield Worker(
                    ready=consumer.not_ready,
                    live=lambda: [why] if (why := consumer.stalled(settings.stalled_seconds)) else [],
                )

    return _probes(definition, settings, "consumer", opened)


def make_relay(
    definition: Definition[Any],
    settings: Settings,
    log: Log,
    *,
    watermarks_wanted: Callable[[], bool] = lambda: True,
) -> Relay:
    return Relay(
        settings.database_url.get_secret_value(),
        log,
        service=definition.name,
        topic=definition.topic,
        partitions=settings.partitions,
        keep_seconds=settings.outbox_keep_seconds,
        watermark_seconds=settings.watermark_seconds,
        watermarks_of=[name for name in settings.services if name != definition.name],
        watermarks_wanted=watermarks_wanted,
    )


def relay_tasks(definition: Definition[Any], settings: Settings, relay: Relay, pool: Pool) -> dict[str, Run]:
    """Everything that runs in the role `relay`, by name."""
    keys = forget_expired_keys(pool, keep_seconds=settings.key_keep_seconds)
    return {f"{definition.name} relay": relay.run, f"{definition.name} key upkeep": keys}


def make_consumer(
    definition: Definition[Any],
    settings: Settings,
    pool: Pool,
    log: Log,
    advanced: Callable[[], None] = lambda: None,
) -> Consumer:
    assert definition.projection is not None
    return Consumer(
        definition.projection(settings),
        pool,
        log,
        service=definition.name,
        partitions=settings.partitions,
        workers=settings.consumer_workers,
        batch_records=settings.consumer_batch_records,
        advanced=advanced,
    )


def consumer_tasks(definition: Definition[Any], consumer: Consumer, pool: Pool) -> dict[str, Run]:
    """Everything that runs in the role `consume`, by name."""
    upkeep = {f"{definition.name} {name}": make(pool) for name, make in definition.upkeep.items()}
    return {f"{definition.name} consumer": consumer.run, **upkeep}


def background_tasks(kernel: Kernel, log: Log, *, asked: Callable[[], None] = lambda: None) -> dict[str, Run]:
    """The tasks of the role `consume` that run commands, by name.

    Args:
        asked: called whenever one of them looks for watermarks.
    """
    definition = kernel.definition
    listened = definition.projection(kernel.settings).topics if definition.projection else ()
    services = {definition.name, *(topic.removesuffix(".events") for topic in listened)}
    reader = WatermarkReader(log, sorted(services), asked=asked)
    return {f"{definition.name} {name}": make(kernel, reader) for name, make in definition.background.items()}


def _probes(
    definition: Definition[Any],
    settings: Settings,
    role: str,
    opened: Callable[[], Any],
) -> FastAPI:
    return create_app(
        name=definition.name,
        title=f"{definition.title}: {role}",
        description="Probes and metrics.",
        settings=settings,
        open_service=opened,
        routers=(),
    )


@asynccontextmanager
async def _log_and_pool(
    definition: Definition[Any], settings: Settings, *, connections: int
) -> AsyncIterator[tuple[Log, Pool]]:
    async with AsyncExitStack() as stack:
        name = f"qunli {definition.name}"
        log = await open_log(settings, client_id=name.replace(" ", "-"))
        stack.push_async_callback(log.close)
        pool = await open_writer(settings.database_url.get_secret_value(), name=name, size=connections)
        stack.push_async_callback(close_pool, pool)
        yield log, pool


ROLES: dict[str, Callable[[Definition[Any], Settings], FastAPI]] = {
    "api": api_app,
    "relay": relay_app,
    "consume": consumer_app,
}
"""By name on the command line."""
