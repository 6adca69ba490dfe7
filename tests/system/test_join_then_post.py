"""Somebody who joins and then posts: two services, the log between them, and the tokens that carry one to the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.content.definition import CONTENT
from services.membership.definition import MEMBERSHIP
from shared.lifecycle import running
from shared.messaging.local import LocalLog
from shared.roles import make_consumer, make_relay
from tests.support.databases import Databases
from tests.support.serving import Served, serving

FOUNDING = {"name": "Early risers", "affinity": "We run before work.", "zone": "Asia/Shanghai", "currency": "CNY"}


@pytest.fixture
async def log(database: str) -> AsyncIterator[LocalLog]:
    opened = await LocalLog.open(database)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def services(databases: Databases, anyio_backend: str, tmp_path: Path) -> AsyncIterator[tuple[Served, Served]]:
    """Membership and content, each over its own database; one issuer signs for both."""
    async with (
        databases.fresh(template=await databases.template(*MEMBERSHIP.migrations)) as membership_dsn,
        databases.fresh(template=await databases.template(*CONTENT.migrations)) as content_dsn,
        serving(MEMBERSHIP, membership_dsn, tmp_path) as membership,
        serving(CONTENT, content_dsn, tmp_path) as content,
    ):
        yield membership, content


@asynccontextmanager
async def connected(membership: Served, content: Served, log: LocalLog) -> AsyncIterator[None]:
    """Membership's relay and content's consumer, running."""
    relay = make_relay(MEMBERSHIP, membership.kernel.settings, log)
    consumer = make_consumer(CONTENT, content.kernel.settings, content.kernel.writer, log)
    async with running({"relay": relay.run, "consumer": consumer.run}):
        yield


async def launched(membership: Served) -> tuple[str, str]:
    """A launched community of ana's, and the token of its launch."""
    ana = membership.person("ana")
    id: str = (await ana.post("/v1/communities", FOUNDING)).json()["id"]
    answer = await ana.post(f"/v1/communities/{id}/launch")
    return id, answer.headers["consistency-token"]


async def join_then_post(membership: Served, content: Served, community: str, person: str) -> Any:
    joined = await membership.person(person).post(f"/v1/communities/{community}/members")
    assert joined.status_code == 201
    return await content.person(person).post(
        f"/v1/communities/{community}/posts",
        {"body": "Hello"},
        Consistency_Token=joined.headers["consistency-token"],
    )


async def test_who_joins_and_posts_at_once_is_never_refused(services: tuple[Served, Served], log: LocalLog) -> None:
    membership, content = services
    async with connected(membership, content, log):
        community, _ = await launched(membership)
        people = [f"p{number}" for number in range(30)]
        answers = await asyncio.gather(*(join_then_post(membership, content, community, person) for person in people))
        assert [answer.status_code for answer in answers] == [201] * 30
        assert sorted(answer.json()["author"] for answer in answers) == sorted(people)


async def test_the_founder_posts_with_the_launch_s_token(services: tuple[Served, Served], log: LocalLog) -> None:
    """The launch alone does not tell that ana is a member: the founding's token does. The launch's answer names both."""
    membership, content = services
    async with connected(membership, content, log):
        ana = membership.person("ana")
        founded = await ana.post("/v1/communities", FOUNDING)
        community = founded.json()["id"]
        launch = await ana.post(f"/v1/communities/{community}/launch")
        tokens = ",".join(answer.headers["consistency-token"] for answer in (founded, launch))
        answer = await content.person("ana").post(
            f"/v1/communities/{community}/posts", {"body": "Welcome"}, Consistency_Token=tokens
        )
        assert answer.status_code == 201


async def test_what_content_has_not_heard_it_says_at_once_or_waits_for(
    services: tuple[Served, Served], log: LocalLog
) -> None:
    membership, content = services
    community, token = await launched(membership)
    feed = f"/v1/communities/{community}/posts"
    ana = content.person("ana")
    waited = await ana.get(feed, Consistency_Token=token)
    assert (waited.status_code, waited.headers["retry-after"]) == (503, "1")
    assert (await ana.get(feed)).status_code == 404
    async with connected(membership, content, log):
        assert (await ana.get(feed, Consistency_Token=token)).status_code in {200, 403}
