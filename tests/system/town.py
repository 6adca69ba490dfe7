"""All roles of all services in the process of a test, each to be stopped and started; and people who act through them."""

import asyncio
import itertools
import os
import re
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from deploy.local.postgres import APP_ROLE, SUPERUSER, EmbeddedPostgres, binaries
from services.campaigns.definition import CAMPAIGNS
from services.content.definition import CONTENT
from services.membership.definition import MEMBERSHIP
from services.scoring.definition import SCORING
from shared.http.issuer import DevelopmentIssuer
from shared.messaging import outbox
from shared.messaging.log import Log, LogUnavailable
from shared.messaging.logs import open_log
from shared.position import START, Position
from shared.roles import ROLES, api_app
from shared.service import Definition
from shared.settings import Settings
from tests.support.system import ROOT

ORGANIZATION = "acme"
DEFINITIONS: Mapping[str, Definition[Any]] = {each.name: each for each in (MEMBERSHIP, CONTENT, CAMPAIGNS, SCORING)}
READERS = {
    "membership": ("content", "campaigns", "scoring"),
    "content": ("membership", "campaigns", "scoring"),
    "campaigns": ("scoring",),
    "scoring": ("scoring",),
}
"""Who reads whose topic."""

PAGE = ROOT / "docs" / "restore.md"
FOUNDING = {"name": "Early risers", "affinity": "We run.", "zone": "Asia/Shanghai", "currency": "CNY"}


def commands(name: str) -> str:
    """The commands that the page has under this name."""
    [found] = re.findall(rf"<!-- {name} -->\n```bash\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


@dataclass
class Town:
    """The running roles.

    Attributes:
        databases: name of each service's database.
    """

    postgres: EmbeddedPostgres
    settings: Mapping[str, Settings]
    databases: Mapping[str, str]
    folder: Path
    issuer: DevelopmentIssuer
    log: Log
    community: str = ""
    _roles: dict[tuple[str, str], tuple[AsyncExitStack, httpx.AsyncClient]] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    # --- Roles ---

    async def start(self, service: str, *roles: str) -> None:
        for role in roles or ROLES:
            definition, settings = DEFINITIONS[service], self.settings[service]
            make = partial(api_app, keys=self.issuer.keys()) if role == "api" else ROLES[role]
            app = make(definition, settings)
            stack = AsyncExitStack()
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            client = httpx.AsyncClient(transport=transport, base_url="http://test", timeout=30)
            self._roles[service, role] = (stack, await stack.enter_async_context(client))

    async def stop(self, service: str, *roles: str) -> None:
        for role in roles or ROLES:
            stack, _ = self._roles.pop((service, role))
            await stack.aclose()

    async def close(self) -> None:
        for service, role in list(self._roles):
            await self.stop(service, role)

    async def not_ready(self, service: str, role: str, words: str) -> None:
        """Wait until the role is not ready and says these words."""
        said = ""
        async with asyncio.timeout(60):
            while words not in said:
                answer = await self._roles[service, role][1].get("/readyz")
                said = answer.text if answer.status_code == 503 else ""
                await asyncio.sleep(0.1)

    async def ready(self, service: str, role: str) -> None:
        async with asyncio.timeout(60):
            while (await self._roles[service, role][1].get("/readyz")).status_code != 200:
                await asyncio.sleep(0.1)

    # --- Operators ---

    async def operate(self, name: str, *, service: str, reader: str = "", **environment: str) -> tuple[int, str]:
        """Run the page's commands of this name; exit code, and what they printed."""
        topics = self.folder / "kafka-topics.sh"
        topics.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.system.kafka_topics "$@"\n')
        topics.chmod(0o755)
        programs = [str(self.folder), str(binaries() / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        url = {name: each.database_url.get_secret_value() for name, each in self.settings.items()}
        own = self.settings[service]
        given = {
            "PATH": os.pathsep.join(programs),
            "PYTHONPATH": str(ROOT),
            **{f"QUNLI_DATABASE_URL_{name.upper()}": address for name, address in url.items()},
            "QUNLI_LOG": own.log,
            "QUNLI_LOCAL_LOG_URL": own.local_log_url.get_secret_value() if own.local_log_url else "",
            "QUNLI_KAFKA_BOOTSTRAP_SERVERS": own.kafka_bootstrap_servers,
            "SERVICE": service,
            "READER": reader,
            "DATABASE": self.databases[service],
            "DATABASE_URL": url[service],
            "OWNER": APP_ROLE,
            "ADMIN_URL": self.postgres.dsn("postgres", SUPERUSER),
        }
        process = await asyncio.create_subprocess_exec(
            "bash", "-euo", "pipefail", "-c", commands(name),
            env={**os.environ, **given, **environment}, cwd=self.folder, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def succeed(self, name: str, *, service: str, reader: str = "") -> str:
        code, said = await self.operate(name, service=service, reader=reader)
        assert code == 0, said
        return said

    # --- People ---

    async def send(
        self, service: str, method: str, path: str, person: str, body: Any = None, *, scope: str = "", **headers: str
    ) -> httpx.Response:
        """Act, and again while the service is busy."""
        sent = {"Authorization": f"Bearer {self.issuer.sign(sub=person, org=ORGANIZATION, scope=scope)}", **headers}
        if method == "POST":
            sent["Idempotency-Key"] = str(uuid.uuid4())
        async with asyncio.timeout(60):
            while True:
                answer = await self._roles[service, "api"][1].request(method, path, headers=sent, json=body)
                if answer.status_code not in (409, 503):
                    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
                    return answer
                await asyncio.sleep(0.1)

    async def found(self) -> None:
        founded = await self.send("membership", "POST", "/v1/communities", "owner", FOUNDING)
        self.community = founded.json()["id"]
        await self.send("membership", "POST", f"/v1/communities/{self.community}/launch", "owner")
        await self.join("owner's friend")

    async def join(self, *persons: str) -> None:
        for person in persons:
            await self.send("membership", "POST", f"/v1/communities/{self.community}/members", person, {})

    async def act(self, *persons: str) -> None:
        """Each writes three posts, takes one back, comments, likes, shares; and somebody buys through the share, and returns
        a part."""
        for person in persons:
            posts = f"/v1/communities/{self.community}/posts"
            written = [await self.send("content", "POST", posts, person, {"body": f"post {n}"}) for n in range(3)]
            first, second = (f"/v1/posts/{post.json()['id']}" for post in written[:2])
            await self.send("content", "DELETE", first, person, **{"If-Match": '"1"'})
            await self.send("content", "POST", f"{second}/comments", person, {"body": "Well said."})
            await self.send("content", "POST", f"{second}/reactions", "owner", {"kind": "like"})
            target = {"target_kind": "community", "target": self.community, "channel": "wechat"}
            shared = await self.send("content", "POST", f"/v1/communities/{self.community}/shares", person, target)
            bought = await self.buy(f"buyer of {person}", 10_000 + next(self._numbers), shared.json()["code"])
            refund = {"refund_id": "1", "amount_minor": 333}
            path = f"/v1/purchases/{bought.json()['id']}/refunds"
            await self.send("campaigns", "POST", path, "shop", refund, scope="purchases:write")

    async def buy(self, buyer: str, paid_minor: int, share_code: str | None = None) -> httpx.Response:
        order = {
            "community": self.community,
            "order_id": f"order-{next(self._numbers)}",
            "buyer": buyer,
            "paid_minor": paid_minor,
            "currency": "CNY",
            "share_code": share_code,
        }
        return await self.send("campaigns", "POST", "/v1/purchases", "shop", order, scope="purchases:write")

    # --- Rest ---

    async def connect(self, service: str) -> Any:
        return await asyncpg.connect(self.settings[service].database_url.get_secret_value())

    async def quiet(self, seconds: float = 120) -> None:
        """Wait until everything that was committed is sent and folded, and what waited for that is decided."""
        deadline = asyncio.get_running_loop().time() + seconds
        for _ in range(2):
            while left := await self._unfinished():
                assert asyncio.get_running_loop().time() < deadline, [*left, *await self._complaints()]
                await asyncio.sleep(0.2)

    async def _complaints(self) -> list[str]:
        answers = {role: await client.get("/readyz") for role, (_, client) in self._roles.items()}
        return [f"{role}: {answer.text}" for role, answer in answers.items() if answer.status_code != 200]

    async def _unfinished(self) -> list[str]:
        left = []
        try:
            last = {each.topic: await self.log.last_records(each.topic) for each in DEFINITIONS.values()}
        except LogUnavailable:
            return ["the log is busy"]
        for service, definition in DEFINITIONS.items():
            connection = await self.connect(service)
            try:
                if (await outbox.backlog(connection, definition.topic)).events:
                    left.append(f"{service} has facts to send")
                if service == "campaigns" and await connection.fetchval("select count(*) from unattributed"):
                    left.append("purchases wait for attribution")
                assert definition.projection is not None
                places = await connection.fetch("select topic, lane, epoch, transaction_id, sequence from lane_topics")
                read = {(topic, lane): Position(*position) for topic, lane, *position in places}
                left += [
                    f"{service} has to read {topic}/{lane}"
                    for topic in definition.projection(self.settings[service]).topics
                    for lane, record in last[topic].items()
                    if read.get((topic, lane), START) != Position.parse(dict(record.headers)["ce_position"])
                ]
                assert await connection.fetch("select reason from dead_letters") == []
            finally:
                await connection.close()
        return left


@asynccontextmanager
async def town(postgres: EmbeddedPostgres, folder: Path, name: str, *, kafka: str | None = None) -> AsyncIterator[Town]:
    """All databases, all roles, and a community.

    Args:
        kafka: bootstrap servers; None: the local log.
    """
    databases = {service: f"{name}_{service}" for service in DEFINITIONS}
    for database in (*databases.values(), f"{name}_log"):
        await postgres.drop_database(database)
        await postgres.ensure_database(database)
    common = {
        "mode": "local",
        "log": "kafka" if kafka else "local",
        "local_log_url": postgres.dsn(f"{name}_log"),
        "kafka_bootstrap_servers": kafka or "127.0.0.1:1",
        "watermark_seconds": 0.3,
        "writer_connections": 3,
        "reader_connections": 1,
    }
    settings = {
        service: Settings.model_validate({**common, "database_url": postgres.dsn(databases[service])})
        for service in DEFINITIONS
    }
    for service, definition in DEFINITIONS.items():
        await definition.migrate(settings[service])
    log = await open_log(settings["scoring"], client_id="town")
    await log.create_topics([each.topic for each in DEFINITIONS.values()], partitions=12)
    made = Town(postgres, settings, databases, folder, DevelopmentIssuer(settings["scoring"], folder), log)
    try:
        for service in DEFINITIONS:
            await made.start(service)
        await made.found()
        yield made
    finally:
        await made.close()
        await log.close()
