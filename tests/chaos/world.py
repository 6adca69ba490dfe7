"""The servers and the processes of all services, which live on from episode to episode."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg

from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import FAST, EmbeddedPostgres
from services.campaigns.definition import CAMPAIGNS
from services.content.definition import CONTENT
from services.membership.definition import MEMBERSHIP
from services.scoring.definition import SCORING
from shared.http.issuer import DevelopmentIssuer
from shared.service import Definition
from shared.settings import Settings
from tests.chaos.clients import Clients
from tests.chaos.history import History
from tests.chaos.scene import Scene
from tests.support.issuing import serving_keys
from tests.support.processes import Launch, Role

DEFINITIONS: dict[str, Definition[Any]] = {each.name: each for each in (MEMBERSHIP, CONTENT, CAMPAIGNS, SCORING)}
ROLES = ("api", "relay", "consume")
TWICE = ("membership", "content", "campaigns")
"""Two processes of their API run: one alone writes its batches one after another, and meets nobody."""

FIRST_MEMBERS = 6
SESSION_SECONDS = 3.0
START_SECONDS = 240.0
"""Far more than it takes: the machine may be busy with other things."""

DISK_BYTES = 700_000_000
MACHINE = "import purchases:write scores:read"
DAYS = 3 * 86_400
SMALL: Mapping[str, str | int] = {**FAST, "max_connections": 200, "min_wal_size": "32MB", "max_wal_size": "96MB"}


@dataclass
class World:
    """What an episode works on.

    Attributes:
        postgres: the cluster of all databases; they lie on `disk`.
        disk: folder of a file system of `DISK_BYTES`; None where none could be mounted.
        broker: None on `LocalLog`.
        hits: the failpoints that were reached, one a line.
        began: database clock when it was made.
    """

    log: str
    name: str
    postgres: EmbeddedPostgres
    disk: Path | None
    broker: EmbeddedKafka | None
    settings: dict[str, Settings]
    environment: dict[str, dict[str, str]]
    roles: dict[str, Role]
    launch: Launch
    folder: Path
    token: str
    began: datetime
    scene: Scene = field(default_factory=Scene)
    history: History = field(default_factory=History)

    @property
    def hits(self) -> Path:
        return self.folder / "hits"

    @property
    def output(self) -> Path:
        return self.folder / "output"

    def clients(self, name: str, seed: str) -> Clients:
        urls = {
            service: [role.url for role in self.roles.values() if (role.service, role.role) == (service, "api")]
            for service in DEFINITIONS
        }
        return Clients(urls, self.token, self.scene, self.history, name=name, seed=seed)

    async def connect(self, service: str) -> asyncpg.Connection:
        return await asyncpg.connect(self.settings[service].database_url.get_secret_value(), timeout=10)

    def another(self, role: Role) -> Role:
        """A second process of the same role."""
        return Role(role.service, role.role, self.environment[role.service], self.hits, self.output, self.launch)

    async def heal(self, seconds: float) -> None:
        """Have both servers, and every role with its clock right and nothing armed, run and be ready.

        Raises:
            TimeoutError: they are not.
        """
        self.postgres.start(seconds)
        if self.broker is not None:
            self.broker.start(seconds)
        await asyncio.gather(*(_until_ready(role, seconds) for role in self.roles.values()))


async def _until_ready(role: Role, seconds: float) -> None:
    """As whoever keeps processes running does: what ended is started again."""
    deadline = time.monotonic() + seconds
    while not await role.is_ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{role.name} does not become ready")
        if not role.runs:
            await role.start()
        await asyncio.sleep(0.1)


@asynccontextmanager
async def world(
    postgres: EmbeddedPostgres, disk: Path | None, launch: Launch, folder: Path, name: str, *, kafka: Path | None
) -> AsyncIterator[World]:
    """New databases, new topics, all roles running, and a community with members.

    Args:
        launch: how processes are started.
        kafka: where a broker of its own is put; None: on `LocalLog`.
    """
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        broker = None if kafka is None else EmbeddedKafka(kafka, heap="384m")
        if broker is not None:
            stack.callback(broker.stop)
            broker.start(START_SECONDS)
        common: dict[str, Any] = {
            "mode": "local",
            "log": "local" if broker is None else "kafka",
            "local_log_url": postgres.dsn(f"{name}_log"),
            "kafka_bootstrap_servers": "127.0.0.1:1" if broker is None else broker.bootstrap_servers,
            "auth_issuer": "http://127.0.0.1/dev",
            "log_level": "info",
            "watermark_seconds": "0.5",
            "outbox_keep_seconds": "0.5",
            "consumer_session_seconds": str(SESSION_SECONDS),
            "services": json.dumps(list(DEFINITIONS)),
        }
        issuer = DevelopmentIssuer(Settings.model_validate({**common, "services": (), "database_url": "x"}), folder)
        common["auth_jwks_url"] = stack.enter_context(serving_keys(issuer))
        settings, environment, roles = {}, {}, {}
        for service, definition in DEFINITIONS.items():
            own = {**common, "database_url": postgres.dsn(f"{name}_{service}")}
            environment[service] = {f"QUNLI_{key.upper()}": str(value) for key, value in own.items()}
            settings[service] = Settings.model_validate({**own, "services": tuple(DEFINITIONS)})
            await postgres.ensure_database(f"{name}_{service}")
            await definition.migrate(settings[service])
            names = {f"{service} {role}": role for role in ROLES}
            if service in TWICE:
                names[f"second {service} api"] = "api"
            for label, role in names.items():
                roles[label] = Role(
                    service, role, environment[service], folder / "hits", folder / "output", launch, label
                )
        await postgres.ensure_database(f"{name}_log")
        (folder / "hits").touch()
        now = int(time.time())
        # Good for days: a process whose clock is a day off is not to be spared its work.
        token = issuer.sign(sub="chaos", org="acme", scope=MACHINE, iat=now - DAYS, exp=now + DAYS)
        place = World(
            common["log"],
            name,
            postgres,
            disk,
            broker,
            settings,
            environment,
            roles,
            launch,
            folder,
            token,
            await _database_clock(settings["membership"]),
        )
        try:
            await place.heal(START_SECONDS)
            await place.clients("first", name).found(FIRST_MEMBERS)
            yield place
        finally:
            await asyncio.gather(*(role.kill() for role in roles.values()))
            for service in (*DEFINITIONS, "log"):
                await postgres.drop_database(f"{name}_{service}")
    if kafka is not None:
        shutil.rmtree(kafka)


async def _database_clock(settings: Settings) -> datetime:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        now: datetime = await connection.fetchval("select clock_timestamp()")
        return now
    finally:
        await connection.close()


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[EmbeddedPostgres, Path | None]]:
    """A cluster on a small disk of its own, where the system lets us mount one; else on the common one."""
    disk = folder / "disk"
    disk.mkdir(parents=True)
    mounted = _mount(disk)
    try:
        with EmbeddedPostgres(disk / "postgres", settings=SMALL) as postgres:
            yield postgres, disk if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", str(disk)], check=True)


def _mount(disk: Path) -> bool:
    """Put a file system of `DISK_BYTES`, in memory, at the folder; False where only root could."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=755", "qunli-chaos", str(disk)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
