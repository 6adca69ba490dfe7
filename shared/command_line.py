"""`python -m services.<name> <role>`: one image, the command chooses service and role."""

import argparse
import sys
from typing import Any

import asyncpg
import uvicorn
import uvloop
from pydantic import ValidationError
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from shared.http.mounting import mounted
from shared.http.server import Server
from shared.lifecycle import spare_collector
from shared.messaging.log import LogUnavailable
from shared.migrate import MigrationError
from shared.observability import logs
from shared.observability.traces import tracing
from shared.operations import OPERATIONS
from shared.rebuilding import arguments
from shared.roles import ROLES
from shared.service import Definition
from shared.settings import Settings, settings_of

DRAIN_SECONDS = 5
"""How long open requests may finish after SIGTERM."""


def main(definition: Definition[Any], arguments: list[str] | None = None) -> int:
    """Run one role of a service until it ends, or until SIGTERM or SIGINT; return the exit code.

    What it serves is below the service's prefix, as it is in one process with the others: `/content/v1/...`.
    """
    options = _parser(definition).parse_args(arguments)
    try:
        settings = settings_of(definition.name)
    except ValidationError as error:
        print(error, file=sys.stderr)
        return 1
    logs.configure(settings)
    tracing.configure(settings)
    try:
        if options.role in ROLES:
            serve(mounted({definition.name: ROLES[options.role](definition, settings)}), settings)
        elif options.role in definition.commands:
            uvloop.run(definition.commands[options.role].run(settings, options))
        else:
            uvloop.run(OPERATIONS[options.role](definition, settings, options))
    except (LogUnavailable, MigrationError, asyncpg.PostgresError, OSError, TimeoutError, ValueError) as error:
        print(f"{definition.name} {options.role}: {str(error) or type(error).__name__}", file=sys.stderr)
        return 1
    finally:
        tracing.shut_down()
    return 0


def serve(app: ASGIApp, settings: Settings) -> None:
    """Serve `app` until SIGTERM or SIGINT."""
    spare_collector()
    server = Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


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
    if definition.replica:
        arguments(roles.add_parser("rebuild", help="fold the topics anew, and compare the result with the replica"))
    for name, command in definition.commands.items():
        command.arguments(roles.add_parser(name, help=command.help))
    return parser
