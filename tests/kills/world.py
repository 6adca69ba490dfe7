"""A community with members on real servers, and the roles of content and scoring as processes that can be killed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from deploy.local.postgres import EmbeddedPostgres
from services.content.definition import CONTENT
from services.membership.definition import MEMBERSHIP
from services.scoring.boards import LOWEST, OVERSIZED, Metric
from services.scoring.definition import SCORING
from shared.http.issuer import DevelopmentIssuer
from shared.lifecycle import running
from shared.messaging.logs import open_log
from shared.roles import api_app, consumer_tasks, make_consumer, make_relay
from shared.service import Definition, Kernel
from shared.settings import Settings
from tests.support.issuing import serving_keys
from tests.support.processes import Role

ORGANIZATION = "acme"
SERVICES = ("membership", "content", "scoring")
PERSONS = [f"person-{number:03}" for number in range(60)]


@dataclass
class World:
    """What the suite works on.

    Attributes:
        settings: of each service.
        roles: of the victims, by name: `content api`, `content relay`, `scoring consume`.
        hits: the failpoints that were reached, one a line.
    """

    settings: dict[str, Settings]
    environment: dict[str, dict[str, str]]
    roles: dict[str, Role]
    hits: Path
    output: Path
    community: str
    issuer: DevelopmentIssuer

    def token(self) -> str:
        return self.issuer.sign(sub="importer", org=ORGANIZATION, scope="import")

    async def connect(self, service: str) -> asyncpg.Connection:
        return await asyncpg.connect(self.settings[service].database_url.get_secret_value())


@asynccontextmanager
async def world(
    postgres: EmbeddedPostgres, folder: Path, name: str, *, log: str, kafka: str = "127.0.0.1:1"
) -> AsyncIterator[World]:
    """Databases, members, and the roles, not yet started."""
    folder.mkdir(parents=True, exist_ok=True)
    definitions: tuple[Definition[Any], ...] = (MEMBERSHIP, CONTENT, SCORING)
    common = {
        "mode": "local",
        "log": log,
        "local_log_url": postgres.dsn(f"{name}_log"),
        "kafka_bootstrap_servers": kafka,
        "auth_issuer": "http://127.0.0.1/dev",
        "log_level": "info",
        "watermark_seconds": "0.5",
        "outbox_keep_seconds": "0.5",
        "services": json.dumps(SERVICES),
    }
    settings = {
        each.name: Settings.model_validate(
            {**common, "services": SERVICES, "database_url": postgres.dsn(f"{name}_{each.name}")}
        )
        for each in definitions
    }
    await postgres.ensure_database(f"{name}_log")
    for each in definitions:
        await postgres.ensure_database(f"{name}_{each.name}")
        await each.migrate(settings[each.name])
    issuer = DevelopmentIssuer(settings["membership"], folder)
    with serving_keys(issuer) as url:
        environment = {
            each.name: {
                f"QUNLI_{key.upper()}": value
                for key, value in {
                    **common,
                    "database_url": postgres.dsn(f"{name}_{each.name}"),
                    "auth_jwks_url": url,
                }.items()
            }
            for each in definitions
        }
        hits, output = folder / "hits", folder / "output"
        hits.touch()
        roles = {
            f"{service} {role}": Role(service, role, environment[service], hits, output)
            for service, role in (("content", "api"), ("content", "relay"), ("scoring", "consume"))
        }
        community = await _settle(settings, issuer)
        await _crowd(settings["scoring"], community)
        try:
            yield World(settings, environment, roles, hits, output, community, issuer)
        finally:
            for role in roles.values():
                await role.stop()


async def _settle(settings: dict[str, Settings], issuer: DevelopmentIssuer) -> str:
    """Found and launch a community, let everybody join, and wait until content and scoring know."""
    log = await open_log(settings["membership"], client_id="tests")

    @asynccontextmanager
    async def relay_beside(kernel: Kernel) -> AsyncIterator[None]:
        relay = make_relay(MEMBERSHIP, kernel.settings, log)
        async with running({"relay": relay.run}):
            yield

    @asynccontextmanager
    async def consumer_beside(kernel: Kernel) -> AsyncIterator[None]:
        consumer = make_consumer(kernel.definition, kernel.settings, kernel.writer, log)
        async with running(consumer_tasks(kernel.definition, consumer, kernel.writer)):
            yield

    apps = [
        api_app(MEMBERSHIP, settings["membership"], keys=issuer.keys(), beside=relay_beside),
        api_app(CONTENT, settings["content"], keys=issuer.keys(), beside=consumer_beside),
        api_app(SCORING, settings["scoring"], keys=issuer.keys(), beside=consumer_beside),
    ]
    try:
        async with (
            apps[0].router.lifespan_context(apps[0]),
            apps[1].router.lifespan_context(apps[1]),
            apps[2].router.lifespan_context(apps[2]),
        ):
            community, tokens = await _people(apps[0], issuer)
            await _until_known(apps[1:], community, tokens, issuer)
    finally:
        await log.close()
    return community


async def _people(app: Any, issuer: DevelopmentIssuer) -> tuple[str, str]:
    owner = {"Authorization": f"Bearer {issuer.sign(sub='owner', org=ORGANIZATION)}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        founded = await client.post(
            "/v1/communities",
            headers={**owner, "Idempotency-Key": "found"},
            json={"name": "Early risers", "affinity": "We run.", "zone": "Asia/Shanghai", "currency": "CNY"},
        )
        assert founded.status_code == 201, founded.text
        community = str(founded.json()["id"])
        launched = await client.post(
            f"/v1/communities/{community}/launch", headers={**owner, "Idempotency-Key": "launch"}
        )
        assert launched.status_code == 200, launched.text
        joins = await asyncio.gather(
            *(
                client.post(
                    f"/v1/communities/{community}/members",
                    headers={
                        "Authorization": f"Bearer {issuer.sign(sub=person, org=ORGANIZATION)}",
                        "Idempotency-Key": f"join-{person}",
                    },
                )
                for person in PERSONS
            )
        )
    assert {join.status_code for join in joins} == {201}
    tokens = {token for join in joins for token in join.headers["Consistency-Token"].split(",")}
    return community, ",".join(sorted(tokens))


async def _until_known(apps: list[Any], community: str, tokens: str, issuer: DevelopmentIssuer) -> None:
    headers = {
        "Authorization": f"Bearer {issuer.sign(sub=PERSONS[0], org=ORGANIZATION)}",
        "Consistency-Token": tokens,
    }
    paths = [f"/v1/communities/{community}/posts", f"/v1/communities/{community}/leaderboards/activity"]
    for app, path in zip(apps, paths, strict=True):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            async with asyncio.timeout(30):
                while (response := await client.get(path, headers=headers)).status_code == 503:
                    await asyncio.sleep(0.1)
            assert response.status_code == 200, response.text


async def _crowd(settings: Settings, community: str) -> None:
    """Put so many more members on the activity board that its bucket has to be split."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        async with connection.transaction():
            await connection.execute(
                """
                with crowd as (
                    insert into persons (organization, person, lane)
                    select $1, 'crowd-' || number, 0 from generate_series(1, $3) as number
                    returning person_no, person
                )
                insert into standings (person_no, community_no, person, activity_key, points, active)
                select person_no, (select community_no from communities where community = $2), person, person_no, 0, true
                  from crowd
                """,
                ORGANIZATION,
                community,
                OVERSIZED + 500,
            )
            await connection.execute(
                """
                insert into rank_buckets (metric, community_no, lower_key, members)
                select $1, community_no, $2, $3 from communities where community = $4
                    on conflict (metric, community_no, lower_key) do update
                   set members = rank_buckets.members + excluded.members
                """,
                Metric.ACTIVITY,
                LOWEST,
                OVERSIZED + 500,
                community,
            )
    finally:
        await connection.close()
