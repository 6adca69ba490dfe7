"""`python -m services.<name> <role>`: one image, the command chooses service and role."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from shared.commands.upkeep import forget_expired_keys
from shared.database import Pool, open_writer
from shared.http.app import create_app
from shared.http.jwks import Keys
from shared.http.mounting import mounted
from shared.lifecycle import Run, running, spare_collector
from shared.messaging import deadletters, recovery
from shared.messaging.consumer import Consumer
from shared.messaging.log import Log
from shared.messaging.logs import open_log
from shared.messaging.relay import Relay, raise_epoch
from shared.messaging.republish import republish
from shared.observability import logs
from shared.observability.traces import tracing
from shared.service import Definition, Kernel, close_pool, open_kernel
from shared.settings import Settings, settings_of

DRAIN_SECONDS = 5
"""How long open requests may finish after SIGTERM."""


@dataclass(frozen=True)
class Worker:
    """A relay or a consumer at work, as its probes see it."""

    ready: Callable[[], list[str]]
    live: Callable[[], list[str]]


def main(definition: Definition[Any], arguments: list[str] | None = None) -> int:
    """Run one role of a service until it ends, or until SIGTERM or SIGINT; return the exit code.

    What it serves is below the service's prefix, as it is in one process with the others: `/content/v1/...`.
    """
    options = _parser(definition).parse_args(arguments)
    settings = settings_of(definition.name)
    logs.configure(settings)
    tracing.configure(settings)
    try:
        if options.role in _SERVED:
            serve(mounted({definition.name: _SERVED[options.role](definition, settings)}), settings)
        else:
            asyncio.run(_OPERATED[options.role](definition, settings, options))
    finally:
        tracing.shut_down()
    return 0


def serve(app: ASGIApp, settings: Settings) -> None:
    """Serve `app` until SIGTERM or SIGINT."""
    spare_collector()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def _parser(definition: Definition[Any]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m services.{definition.name}", description=definition.description)
    roles = parser.add_subparsers(dest="role", required=True)
    roles.add_parser("api", help="answer HTTP requests")
    roles.add_parser("relay", help="forward what was committed to the log")
    roles.add_parser("migrate", help="bring the database up to date")
    roles.add_parser(
        "raise-epoch",
        help="after a restore of this service's database: let its new facts count as new",
    )
    roles.add_parser("republish", help="after the log lost this service's topic: fill it again from the facts")
    if definition.projection is not None:
        roles.add_parser("consume", help="fold what services publish")
        accept = roles.add_parser("accept-epoch", help="read on after the epoch of another service was raised")
        accept.add_argument("topic")
        accept.add_argument("epoch", type=int)
        again = roles.add_parser("read-again", help="read a topic from its first record, after it was published anew")
        again.add_argument("topic")
        roles.add_parser("parked", help="list the keys whose facts could not be applied")
        replay = roles.add_parser("replay", help="after a fix: apply the facts of a parked key")
        replay.add_argument("lane", type=int)
        replay.add_argument("key")
    return parser


# Roles that run, each with its probes


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
            yield definition.open(kernel)

    return create_app(
        name=definition.name,
        title=definition.title,
        description=definition.description,
        settings=settings,
        open_service=opened,
        routers=definition.routers(),
        schemas=definition.folder / "contracts",
        keys=keys,
    )


def relay_app(definition: Definition[Any], settings: Settings) -> FastAPI:
    """The relay, and probes that tell how it is."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Worker]:
        async with _log_and_pool(definition, settings, connections=2) as (log, pool):
            relay = make_relay(definition, settings, log)
            async with running(relay_tasks(definition, relay, pool)):
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
            async with running(consumer_tasks(definition, consumer, pool)):
                yield Worker(
                    ready=consumer.not_ready,
                    live=lambda: [why] if (why := consumer.stalled(settings.stalled_seconds)) else [],
                )

    return _probes(definition, settings, "consumer", opened)


def make_relay(definition: Definition[Any], settings: Settings, log: Log) -> Relay:
    return Relay(
        settings.database_url.get_secret_value(),
        log,
        service=definition.name,
        topic=definition.topic,
        partitions=settings.partitions,
        keep_seconds=settings.outbox_keep_seconds,
        watermark_seconds=settings.watermark_seconds,
        watermarks_of=[name for name in settings.services if name != definition.name],
    )


def relay_tasks(definition: Definition[Any], relay: Relay, pool: Pool) -> dict[str, Run]:
    """Everything that runs in the role `relay`, by name."""
    return {f"{definition.name} relay": relay.run, f"{definition.name} key upkeep": forget_expired_keys(pool)}


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


# Roles that do one thing and end

Operation = Callable[[Definition[Any], Settings, argparse.Namespace], Coroutine[Any, Any, None]]


async def _migrate(definition: Definition[Any], settings: Settings, _: argparse.Namespace) -> None:
    applied = await definition.migrate(settings)
    print("\n".join(applied) or "nothing to apply")


async def _raise_epoch(definition: Definition[Any], settings: Settings, _: argparse.Namespace) -> None:
    log = await open_log(settings, client_id=f"qunli-{definition.name}")
    try:
        print(f"epoch {await raise_epoch(settings.database_url.get_secret_value(), log, definition.topic)}")
    finally:
        await log.close()


async def _accept_epoch(definition: Definition[Any], settings: Settings, options: argparse.Namespace) -> None:
    assert definition.projection is not None
    async with _pool(definition, settings) as pool:
        await recovery.accept_epoch(pool, definition.projection(settings).consumer, options.topic, options.epoch)
    print(f"{options.topic}: epoch {options.epoch} accepted")


async def _republish(definition: Definition[Any], settings: Settings, _: argparse.Namespace) -> None:
    log = await open_log(settings, client_id=f"qunli-{definition.name}")
    try:
        sent = await republish(
            settings.database_url.get_secret_value(),
            log,
            service=definition.name,
            topic=definition.topic,
            partitions=settings.partitions,
            decode=definition.decode,
            publish=definition.publish,
        )
    finally:
        await log.close()
    print(f"{definition.topic}: {sent} records published anew. Now let its readers `read-again {definition.topic}`.")


async def _read_again(definition: Definition[Any], settings: Settings, options: argparse.Namespace) -> None:
    assert definition.projection is not None
    async with _pool(definition, settings) as pool:
        await recovery.read_again(pool, definition.projection(settings).consumer, options.topic)
    print(f"{options.topic}: read again from its first record")


async def _parked(definition: Definition[Any], settings: Settings, _: argparse.Namespace) -> None:
    async with _pool(definition, settings) as pool:
        keys = await deadletters.parked_keys(pool)
    for parked in keys:
        print(*parked, sep="\t")
    if not keys:
        print("no key is parked")


async def _replay(definition: Definition[Any], settings: Settings, options: argparse.Namespace) -> None:
    assert definition.projection is not None
    async with _pool(definition, settings) as pool:
        print(
            await deadletters.replay(
                pool,
                definition.projection(settings),
                lane=options.lane,
                key=options.key,
            )
        )


@asynccontextmanager
async def _pool(definition: Definition[Any], settings: Settings) -> AsyncIterator[Pool]:
    pool = await open_writer(
        settings.database_url.get_secret_value(),
        name=f"qunli {definition.name}",
        size=2,
    )
    try:
        yield pool
    finally:
        await close_pool(pool)


_SERVED: dict[str, Callable[[Definition[Any], Settings], FastAPI]] = {
    "api": api_app,
    "relay": relay_app,
    "consume": consumer_app,
}
_OPERATED: dict[str, Operation] = {
    "migrate": _migrate,
    "raise-epoch": _raise_epoch,
    "republish": _republish,
    "accept-epoch": _accept_epoch,
    "read-again": _read_again,
    "parked": _parked,
    "replay": _replay,
}
