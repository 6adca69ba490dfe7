"""The whole system in one process: `make run`.

PostgreSQL from a wheel, the four services on one port, their relays and consumers, and an issuer of tokens for
development. PostgreSQL is started first and stopped last; all else lives in the application's lifespan.
"""

import argparse
import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import ServerFailed, end_with_make, heed_interrupts
from services.campaigns.definition import CAMPAIGNS
from services.content.definition import CONTENT
from services.membership.definition import MEMBERSHIP
from services.scoring.definition import SCORING
from shared.http.issuer import DevelopmentIssuer
from shared.http.mounting import mounted
from shared.http.server import Server
from shared.lifecycle import running, spare_collector
from shared.messaging.log import Log, LogUnavailable
from shared.messaging.logs import open_log
from shared.observability import logs
from shared.observability.traces import tracing
from shared.roles import api_app, background_tasks, consumer_tasks, make_consumer, make_relay, relay_tasks
from shared.service import Definition, Kernel
from shared.settings import Settings

DEFAULT_PORT = 8400
DRAIN_SECONDS = 3
DEMAND_SECONDS = 5.0
SERVICES: tuple[Definition[Any], ...] = (MEMBERSHIP, CONTENT, CAMPAIGNS, SCORING)
STATE = Path(".state")
ADDRESS = "address"
"""File in the state folder that holds the URL of the running system, for `make demo` and `make import`."""


def main() -> int:
    """Start everything, print where it is, and run until Ctrl-C or SIGTERM."""
    heed_interrupts()
    end_with_make()
    options = _options()
    try:
        listening = listen(options.port)
        port = listening.getsockname()[1]
        if options.port not in (0, port):
            print(f"Port {options.port} is taken; using {port}.", flush=True)
        postgres = EmbeddedPostgres(options.state / f"postgres-{options.log}")
        with postgres:
            settings = asyncio.run(_prepare(postgres, port, options.log))
            return _serve(settings, listening, options.state)
    except KeyboardInterrupt:
        return 130
    except (OSError, ServerFailed, LogUnavailable) as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1


def _serve(settings: Mapping[str, Settings], listening: socket.socket, state: Path) -> int:
    common = settings[SERVICES[0].name]
    logs.configure(common)
    tracing.configure(common)
    address = state / ADDRESS

    def announce() -> None:
        address.write_text(f"{_url(common)}\n")
        print(_greeting(common), flush=True)

    server = Server(
        uvicorn.Config(
            application(settings, DevelopmentIssuer(common, state), announce),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="on",
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )
    spare_collector()
    try:
        server.run(sockets=[listening])
    finally:
        address.unlink(missing_ok=True)
        tracing.shut_down()
    return 0 if server.started else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or DEFAULT_PORT))
    parser.add_argument("--log", choices=("local", "kafka"), default=os.environ.get("LOG") or "local")
    parser.add_argument("--state", type=Path, default=STATE, help="folder that holds the data")
    return parser.parse_args()


def listen(port: int) -> socket.socket:
    """A listening socket on loopback, on `port` or, if that is taken, on a free one."""
    for candidate in (port, 0):
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", candidate))
            listening.listen(1024)
            return listening
        except OSError:
            listening.close()
            if candidate == 0:
                raise
    raise AssertionError


async def _prepare(postgres: EmbeddedPostgres, port: int, log: str) -> dict[str, Settings]:
    """Make and migrate the databases; return each service's settings."""
    await postgres.ensure_database("qunli_log")
    settings = {}
    for definition in SERVICES:
        await postgres.ensure_database(definition.name)
        settings[definition.name] = settings_for(
            definition.name,
            port=port,
            log=log,
            dsn=postgres.dsn(definition.name),
            log_dsn=postgres.dsn("qunli_log"),
        )
    await asyncio.gather(*(definition.migrate(settings[definition.name]) for definition in SERVICES))
    return settings


def settings_for(service: str, *, port: int, log: str, dsn: str, log_dsn: str) -> Settings:
    """A service's settings in this process. The environment decides what concerns Kafka, traces and the log level."""
    fixed: dict[str, Any] = {
        "mode": "local",
        "host": "127.0.0.1",
        "port": port,
        "log": log,
        "local_log_url": log_dsn,
        "auth_issuer": f"http://127.0.0.1:{port}/dev",
        "auth_audience": "qunli",
        "database_url": dsn,
        "log_level": os.environ.get("QUNLI_LOG_LEVEL", "warning"),
        "writer_connections": 6,
        "reader_connections": 2,
        "watermark_seconds": 0.25,  # on demand only: see `_Demand`
    }
    return Settings(**fixed)


def application(
    settings: Mapping[str, Settings],
    issuer: DevelopmentIssuer,
    announce: Callable[[], None] = lambda: None,
) -> Starlette:
    """The ASGI application of everything.

    Args:
        settings: of each service.
        announce: called when all of it runs.
    """
    log = _SharedLog()
    demand = _Demand()

    def service(definition: Definition[Any]) -> FastAPI:
        return api_app(
            definition,
            settings[definition.name],
            keys=issuer.keys(),
            beside=lambda kernel: _relay_and_consumer(kernel, log.opened, demand),
        )

    @asynccontextmanager
    async def announced() -> AsyncIterator[None]:
        announce()
        yield

    apps = {definition.name: service(definition) for definition in SERVICES}
    return mounted(
        {**apps, "dev": issuer.app()},
        around=lambda: log.open(settings[SERVICES[0].name]),
        within=announced,
    )


class _SharedLog:
    """The one log of this process."""

    opened: Log

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncIterator[None]:
        self.opened = await open_log(settings, client_id="qunli")
        try:
            yield
        finally:
            await self.opened.close()


class _Demand:
    """Whether somebody in this process has looked for watermarks lately; else none are published, to idle cheaply."""

    def __init__(self) -> None:
        self._asked_at = float("-inf")

    def ask(self) -> None:
        self._asked_at = time.monotonic()

    def wanted(self) -> bool:
        return time.monotonic() - self._asked_at < DEMAND_SECONDS


@asynccontextmanager
async def _relay_and_consumer(kernel: Kernel, log: Log, demand: _Demand) -> AsyncIterator[None]:
    """The service's other roles, on its own connections; they wake each other instead of polling."""
    relay = make_relay(kernel.definition, kernel.settings, log, watermarks_wanted=demand.wanted)
    kernel.gateway.committed = relay.wake
    tasks = relay_tasks(kernel.definition, kernel.settings, relay, kernel.writer)
    if kernel.definition.projection is not None:
        consumer = make_consumer(
            kernel.definition,
            kernel.settings,
            kernel.writer,
            log,
            advanced=kernel.passed.advanced,
        )
        tasks |= consumer_tasks(kernel.definition, consumer, kernel.writer)
        tasks |= background_tasks(kernel, log, asked=demand.ask)
    async with running(tasks):
        yield


def _url(settings: Settings) -> str:
    return f"http://{settings.host}:{settings.port}"


def _greeting(settings: Settings) -> str:
    url = _url(settings)
    lines = [f"Qunli runs at {url}/ on the log `{settings.log}`. Ctrl-C ends it; the data stays until `make reset`."]
    lines += [f"  {definition.title:<18} {url}/{definition.name}/docs" for definition in SERVICES]
    lines += [f"  {'tokens':<18} {url}/dev/docs", "In another terminal: make demo"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
