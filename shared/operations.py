"""What an operator does to a service from the command line: each starts, does one thing, and ends."""

import argparse
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from shared.database import Pool, open_writer
from shared.messaging import deadletters, recovery
from shared.messaging.epochs import raise_epoch
from shared.messaging.log import Log
from shared.messaging.logs import open_log
from shared.messaging.republish import republish
from shared.rebuilding import Screen, rebuild
from shared.replica import ReplicaRebuild
from shared.service import Definition, close_pool
from shared.settings import Settings
from shared.shadow import open_shadow

Operation = Callable[[Definition[Any], Settings, argparse.Namespace], Coroutine[Any, Any, None]]


async def _migrate(definition: Definition[Any], settings: Settings, _: argparse.Namespace) -> None:
    applied = await definition.migrate(settings)
    print("\n".join(applied) or "nothing to apply")


async def _raise_epoch(definition: Definition[Any], settings: Settings, _: argparse.Namespace) -> None:
    async with _log(definition, settings) as log:
        await log.create_topics([definition.topic], partitions=settings.partitions)
        epoch = await raise_epoch(
            settings.database_url.get_secret_value(),
            log,
            definition.topic,
            service=definition.name,
            partitions=settings.partitions,
        )
    print(f"epoch {epoch}")


async def _accept_epoch(definition: Definition[Any], settings: Settings, options: argparse.Namespace) -> None:
    assert definition.projection is not None
    async with _pool(definition, settings) as pool:
        await recovery.accept_epoch(pool, definition.projection(settings).consumer, options.topic, options.epoch)
    print(f"{options.topic}: epoch {options.epoch} accepted")


async def _republish(definition: Definition[Any], settings: Settings, _: argparse.Namespace) -> None:
    async with _log(definition, settings) as log:
        sent = await republish(
            settings.database_url.get_secret_value(),
            log,
            service=definition.name,
            topic=definition.topic,
            partitions=settings.partitions,
            decode=definition.decode,
            publish=definition.publish,
        )
    print(f"{definition.topic}: {sent} records published anew. Now let its readers `read-again {definition.topic}`.")


async def _rebuild(definition: Definition[Any], settings: Settings, options: argparse.Namespace) -> None:
    assert definition.projection is not None
    projection = definition.projection(settings)
    pool = await open_shadow(
        settings.database_url.get_secret_value(), name=f"qunli {definition.name} rebuild", size=options.workers + 3
    )
    try:
        async with _log(definition, settings) as log:
            lanes = range(settings.partitions)
            workers, say = options.workers, Screen(sys.stdout)
            replica = ReplicaRebuild(pool, log, projection, definition.replica, lanes, workers=workers, say=say)
            await rebuild(replica, options)
    finally:
        await close_pool(pool)


async def _read_again(definition: Definition[Any], settings: Settings, options: argparse.Namespace) -> None:
    assert definition.projection is not None
    async with _pool(definition, settings) as pool:
        await recovery.read_again(pool, definition.projection(settings).consumer, options.topic)
    print(f"{options.topic}: read again from its first record")


async def _parked(definition: Definition[Any], settings: Settings, _: argparse.Namespace) -> None:
    async with _pool(definition, settings) as pool:
        keys = await deadletters.parked_keys(pool)
    for parked in keys:
        print(*parked[:-1], sep="\t")
    if not keys:
        print("no key is parked")


async def _replay(definition: Definition[Any], settings: Settings, options: argparse.Namespace) -> None:
    assert definition.projection is not None
    async with _pool(definition, settings) as pool:
        done = await deadletters.replay(pool, definition.projection(settings), lane=options.lane, key=options.key)
    print(f"{done.applied} applied, {done.left} left" + (f": {done.reason}" if done.reason else ""))


@asynccontextmanager
async def _log(definition: Definition[Any], settings: Settings) -> AsyncIterator[Log]:
    log = await open_log(settings, client_id=f"qunli-{definition.name}")
    try:
        yield log
    finally:
        await log.close()


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


OPERATIONS: dict[str, Operation] = {
    "migrate": _migrate,
    "raise-epoch": _raise_epoch,
    "republish": _republish,
    "accept-epoch": _accept_epoch,
    "rebuild": _rebuild,
    "read-again": _read_again,
    "parked": _parked,
    "replay": _replay,
}
"""By name on the command line."""
