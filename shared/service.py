"""How a service is put together: what it declares of itself, and what it gets to work with."""

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared import migrate
from shared.asyncapi import document
from shared.codec import Codec
from shared.commands.gateway import Gateway
from shared.commands.recorded import Recorded
from shared.commands.writing import Project, Publish, Writing
from shared.database import ACQUIRE_SECONDS, Pool, open_reader, open_writer
from shared.lifecycle import Run
from shared.messaging import epochs
from shared.messaging.facts import Projection
from shared.messaging.progress import Progress
from shared.messaging.watermarks import WatermarkReader
from shared.observability import metrics
from shared.outages import outage_of
from shared.settings import Settings

S = TypeVar("S")


def topic_of(service: str) -> str:
    """The topic of a service's facts."""
    return f"{service}.events"


def publishes_nothing(_: Recorded) -> None:
    return None


async def projects_nothing(_connection: asyncpg.Connection, _facts: Sequence[Recorded]) -> None:
    return None


@dataclass(frozen=True)
class Kernel:
    """What the use cases of a service work with.

    Attributes:
        writer: connections that write.
        reader: connections that only read.
        gateway: runs commands.
        passed: waits until this service has folded what a consistency token names.
    """

    definition: "Definition[Any]"
    settings: Settings
    writer: Pool
    reader: AsyncEngine
    gateway: Gateway
    passed: Progress

    async def ready(self) -> list[str]:
        """Why requests cannot be served now; empty if they can."""
        try:
            async with self.writer.acquire(timeout=ACQUIRE_SECONDS) as connection:
                if missing := await migrate.pending(connection, *self.definition.migrations):
                    return [f"migration {name} is not applied" for name in missing]
                is_copy = await connection.fetchval(epochs.IS_COPY)
        except Exception as error:
            if outage_of(error) is None:
                raise
            return ["the database cannot be reached"]
        return ["the database was restored: raise its epoch"] if is_copy else []


def no_arguments(_: argparse.ArgumentParser) -> None:
    return None


@dataclass(frozen=True)
class OperatorCommand:
    """What an operator can do to one service only: it starts, does one thing, and ends.

    Attributes:
        help: a line for people.
        run: does it. ValueError and troubles of the database are told to the operator, and end it with code 1.
        arguments: declares what else stands on the command line.
    """

    help: str
    run: Callable[[Settings, argparse.Namespace], Coroutine[Any, Any, None]]
    arguments: Callable[[argparse.ArgumentParser], None] = no_arguments


@dataclass(frozen=True)
class Definition(Generic[S]):
    """A service, declared.

    Attributes:
        name: also the first part of its topic and of its message types.
        title, description: for people; shown on its API pages.
        folder: where its code, `migrations/` and `contracts/` are.
        open: makes the object that holds its use cases.
        routers: makes its HTTP routes.
        roots: first parts of paths that it serves at the root of the site as well, where addresses must be short.
        publish, project: see `shared.commands.writing.Writing`.
        codecs: read the facts it stores, to publish a lost topic anew.
        projection: makes what it folds of the log, given its settings; None if it listens to nothing.
        upkeep: further long-running tasks of the role `consume`, by name, given the pool.
        background: tasks of the role `consume` that run commands of their own, once watermarks say what had not happened.
        replica: the tables that the projection writes, each with its primary key, if they are a replica of other services'
            facts, which can be rebuilt from the topics.
        commands: for operators, by name on the command line, beside those of every service (shared/operations.py).
    """

    name: str
    title: str
    description: str
    folder: Path
    open: Callable[[Kernel], S]
    routers: Callable[[], Sequence[Any]]
    roots: Sequence[str] = ()
    publish: Publish = publishes_nothing
    project: Project = projects_nothing
    codecs: Sequence[Codec[Any]] = ()
    projection: Callable[[Settings], Projection] | None = None
    upkeep: Mapping[str, Callable[[Pool], Run]] = field(default_factory=dict)
    background: Mapping[str, Callable[[Kernel, WatermarkReader], Run]] = field(default_factory=dict)
    replica: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, OperatorCommand] = field(default_factory=dict)

    @property
    def topic(self) -> str:
        return topic_of(self.name)

    def decode(self, type_name: str, data: str) -> Any:
        """Read a stored fact; raise KeyError for an unknown type."""
        for codec in self.codecs:
            with contextlib.suppress(KeyError):
                return codec.decode(type_name, data)
        raise KeyError(type_name)

    @property
    def migrations(self) -> tuple[Path, Path]:
        return migrate.KERNEL, self.folder / "migrations"

    def asyncapi(self, *, partitions: int) -> dict[str, Any]:
        """The AsyncAPI document of what it publishes."""
        return document(self.name, self.title, self.description, self.folder / "contracts", partitions=partitions)

    async def migrate(self, settings: Settings) -> list[str]:
        """Bring the service's database up to date; returns the files applied."""
        return await migrate.migrate(settings.database_url.get_secret_value(), *self.migrations)


@asynccontextmanager
async def open_kernel(definition: Definition[Any], settings: Settings) -> AsyncIterator[Kernel]:
    """Connect a service's use cases; everything is closed again on leaving."""
    async with AsyncExitStack() as stack:
        url, name = settings.database_url.get_secret_value(), f"qunli {definition.name}"
        writer = await open_writer(url, name=name, size=settings.writer_connections)
        stack.push_async_callback(close_pool, writer)
        in_use = metrics.DB_POOL_IN_USE.labels(definition.name, "writer")
        in_use.set_function(lambda: writer.get_size() - writer.get_idle_size())
        reader = open_reader(url, name=f"{name} reader", size=settings.reader_connections)
        stack.push_async_callback(reader.dispose)
        writing = Writing(
            definition.name,
            definition.topic,
            settings.partitions,
            definition.publish,
            definition.project,
            settings.key_keep_seconds,
        )
        gateway = Gateway(writer, writing)
        stack.push_async_callback(gateway.close)
        projection = definition.projection(settings) if definition.projection else None
        topics = {topic.removesuffix(".events"): topic for topic in projection.topics} if projection else {}
        passed = Progress(
            writer,
            projection.consumer if projection else definition.name,
            topics,
            partitions=settings.partitions,
        )
        yield Kernel(definition, settings, writer, reader, gateway, passed)


async def close_pool(pool: Pool) -> None:
    """Give connections back their time to finish, but not for ever."""
    try:
        await asyncio.wait_for(pool.close(), 3)
    except TimeoutError:
        pool.terminate()
