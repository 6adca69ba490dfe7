"""The whole system for a soak: durable PostgreSQL, the log, and every role of every service in a process of its own."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres
from services.campaigns.definition import CAMPAIGNS
from services.content.definition import CONTENT
from services.membership.definition import MEMBERSHIP
from services.scoring.definition import SCORING
from shared.migrate import migrate
from tests.bench import servers
from tests.support.roles import Authority, Process, Services

DEFINITIONS = (MEMBERSHIP, CONTENT, CAMPAIGNS, SCORING)
ROLES = ("api", "relay", "consume")
LOG_DATABASE = "qunli_log"
KAFKA_HEAP_MB = 384


@dataclass(frozen=True)
class Stand:
    """Attributes:
    processes: by service and role.
    dsns: of the databases, by name.
    kafka: None on the local log.
    """

    processes: Mapping[tuple[str, str], Process]
    dsns: Mapping[str, str]
    postgres: EmbeddedPostgres
    kafka: EmbeddedKafka | None
    authority: Authority

    @property
    def apis(self) -> dict[str, str]:
        return {service: process.url for (service, role), process in self.processes.items() if role == "api"}


@contextmanager
def stand(log: str, *, keep_seconds: float) -> Iterator[Stand]:
    """Everything, ready.

    Args:
        log: `kafka` or `local`.
        keep_seconds: for what is pruned; a day or minutes in production, so short here that it is pruned many times.
    """
    with ExitStack() as stack:
        path = stack.enter_context(servers.folder())
        postgres = stack.enter_context(servers.postgres(path))
        names = [*(definition.name for definition in DEFINITIONS), *([LOG_DATABASE] if log == "local" else [])]
        dsns = {name: postgres.dsn(name) for name in names}
        asyncio.run(_prepare(postgres, dsns))
        settings = {
            "QUNLI_LOG": log,
            "QUNLI_OUTBOX_KEEP_SECONDS": str(keep_seconds),
            "QUNLI_KEY_KEEP_SECONDS": str(keep_seconds),
        }
        kafka = None
        if log == "kafka":
            kafka = stack.enter_context(EmbeddedKafka(path / "kafka", heap=f"{KAFKA_HEAP_MB}m"))
            settings["QUNLI_KAFKA_BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
        else:
            settings["QUNLI_LOCAL_LOG_URL"] = dsns[LOG_DATABASE]
        authority = stack.enter_context(Authority(path))
        roles = stack.enter_context(Services(authority, path, **settings))
        processes = roles.start_all(
            (definition.name, role, dsns[definition.name]) for definition in DEFINITIONS for role in ROLES
        )
        yield Stand(processes, dsns, postgres, kafka, authority)


async def _prepare(postgres: EmbeddedPostgres, dsns: Mapping[str, str]) -> None:
    for name in dsns:
        await postgres.ensure_database(name)
    await asyncio.gather(*(migrate(dsns[definition.name], *definition.migrations) for definition in DEFINITIONS))
