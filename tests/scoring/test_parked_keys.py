"""An operator finds a parked key over HTTP, mends what it needs, and replays it: nothing tells that it was ever parked."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from prometheus_client import REGISTRY

from services.scoring.definition import SCORING
from services.scoring.projections import ScoringProjection
from shared.database import Pool
from shared.messaging.consumer import Consumer
from shared.messaging.facts import InboundFact
from shared.messaging.log import Log, Outgoing, TopicPartition
from tests.scoring.desk import Desk
from tests.scoring.feeder import Feeder, records_of
from tests.scoring.story import Story
from tests.scoring.tables import tables
from tests.support.databases import Databases
from tests.support.serving import Served

LANES = 12
SPOILT = b'{"local_day": "never"}'


async def publish(log: Log, facts: Sequence[InboundFact], only: Sequence[InboundFact]) -> None:
    """Append some of the facts, as they stand among all of them."""
    wanted = {fact.event_id.encode() for fact in only}
    batches: dict[TopicPartition, list[Outgoing]] = {}
    for where, records in records_of(facts).items():
        for record in records:
            if dict(record.headers)["ce_id"] in wanted:
                batches.setdefault(where, []).append(Outgoing(record.key, record.headers, record.value))
    publisher = await log.publisher()
    try:
        await publisher.send(batches, timeout_seconds=30)
    finally:
        await publisher.close()


@asynccontextmanager
async def consuming(pool: Pool, log: Log, topics: Sequence[str]) -> AsyncIterator[None]:
    """The consumer of scoring at work, on topics of this test's own."""
    await log.create_topics(topics, partitions=LANES)
    projection = ScoringProjection(partitions=LANES)
    projection.topics = topics
    stop = asyncio.Event()
    task = asyncio.create_task(Consumer(projection, pool, log, service="scoring", partitions=LANES).run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await check():
            await asyncio.sleep(0.05)


def parked_metric() -> float | None:
    return REGISTRY.get_sample_value("qunli_parked_keys", {"service": "scoring", "consumer": "scoring"})


@pytest.fixture
async def operator(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """Calls the API of scoring with the scope `operate`, of whatever organization."""
    headers = desk.bearer("pager", "those-who-run-it", scope="operate")
    async with httpx.AsyncClient(base_url=f"{desk.address.url}/scoring/v1", headers=headers, timeout=10) as client:
        yield client


@pytest.mark.timeout(180)
async def test_parked_seen_mended_and_replayed_is_as_if_it_had_never_been_parked(
    pool: Pool,
    log: Log,
    operator: httpx.AsyncClient,
    databases: Databases,
    unique: Callable[[str], str],
) -> None:
    prefix = unique("parked")
    topics = [f"{prefix}.{service}.events" for service in ("membership", "content", "campaigns")]
    story = Story(lanes=LANES)
    town = story.community()
    before = [story.joined(person, town) for person in ("vic", "bo", "cai")]
    comment, bought = story.commented("vic", town), story.bought("vic", town, 1250)
    queue = [
        story.comment_removed(comment),
        bought,
        story.attributed(bought, "bo", "cai"),
        story.refunded(bought, 61),
        story.published("vic", town),
    ]
    others = [story.published(person, town) for person in ("bo", "cai", "bo")]
    facts = [
        msgspec.structs.replace(fact, topic=f"{prefix}.{fact.topic}") for fact in [*before, comment, *queue, *others]
    ]
    spoilt = [
        msgspec.structs.replace(fact, value=SPOILT) if fact.event_id == comment.event_id else fact for fact in facts
    ]

    async def all_joined() -> bool:
        return bool(await pool.fetchval("select count(*) = 3 from journal"))

    async def one_is_parked() -> bool:
        return parked_metric() == 1

    async def five_wait_behind_and_others_are_folded() -> bool:
        waiting = await pool.fetchval("select count(*) from dead_letters")
        return bool(waiting == 6 and await pool.fetchval("select count(*) = 6 from journal"))

    async def nothing_is_parked() -> bool:
        return parked_metric() == 0

    async with consuming(pool, log, topics):
        await publish(log, spoilt, before)
        await until(all_joined)
        await publish(log, spoilt, [comment])
        await until(one_is_parked)
        await publish(log, spoilt, [*queue, *others])
        await until(five_wait_behind_and_others_are_folded)

        (parked,) = await _listed(operator)
        assert parked["reason"].startswith("content.comment-added.v1 cannot be read")
        assert {name: parked[name] for name in parked if name not in ("since", "reason")} == {
            "consumer": "scoring",
            "lane": comment.partition,
            "key": "vic",
            "type": "content.comment-added.v1",
            "event_id": comment.event_id,
            "position": f"1-{1000 + comment.offset}-{comment.offset}",
            "waiting": 5,
        }
        replay = f"/parked-keys/{comment.partition}/vic/replay"
        assert (await operator.post(replay)).json() == {"applied": 0, "left": 6, "reason": parked["reason"]}

        await pool.execute("update dead_letters set value = $1 where reason is not null", comment.value)
        assert (await operator.post(replay)).json() == {"applied": 6, "left": 0, "reason": None}
        assert (await operator.post(replay)).json() == {"applied": 0, "left": 0, "reason": None}
        assert await _listed(operator) == []
        await until(nothing_is_parked)

    async with databases.fresh(template=await databases.template(*SCORING.migrations)) as dsn:
        clean = await asyncpg.connect(dsn)
        try:
            await Feeder(clean, ScoringProjection(partitions=LANES)).apply(facts)
            expected = await tables(clean)
        finally:
            await clean.close()
    assert await tables(pool) == expected
    assert all(expected[name] for name in ("point_entries", "orders", "commission_entries", "published"))


async def _listed(operator: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await operator.get("/parked-keys")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_the_list_has_pages_oldest_first(pool: Pool, operator: httpx.AsyncClient) -> None:
    for number in range(5):
        await pool.execute(
            """
            insert into dead_letters (consumer, lane, key, topic, log_offset, epoch, transaction_id, sequence, type,
                                      event_id, value, reason)
            values ('scoring', 3, $1, 'content.events', $2, 1, 1, $2, 'x', 'y', '', 'bad')
            """,
            f"p/{number}",
            number,
        )
    keys, path = [], "/parked-keys?limit=2"
    while path:
        answer = (await operator.get(path)).json()
        keys += [item["key"] for item in answer["items"]]
        path = (answer["next"] or "").removeprefix("/scoring/v1")
    assert keys == [f"p/{number}" for number in range(5)]


async def test_only_with_the_scope(desk: Desk) -> None:
    for caller in (desk.bearer("ana"), desk.bearer("auditor", scope="scores:read import")):
        async with httpx.AsyncClient(base_url=f"{desk.address.url}/scoring/v1", headers=caller) as client:
            answers = [
                await client.get("/parked-keys"),
                await client.post("/parked-keys/0/vic/replay"),
                await client.get(f"/facts/{uuid.uuid4()}"),
            ]
            for answer in answers:
                assert (answer.status_code, answer.json()["type"]) == (403, "/problems/scope-missing")


async def test_a_long_queue_is_replayed_request_by_request(
    scoring: Served, operator: httpx.AsyncClient, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without time for a second page, an answer says how many are left."""
    story = Story(lanes=LANES)
    town = story.community()
    monkeypatch.setattr("shared.messaging.deadletters.PAGE", 2)
    monkeypatch.setattr("shared.http.operating.REPLAY_SECONDS", 0.0005)
    for number, fact in enumerate([story.joined("vic", town), *(story.published("vic", town) for _ in range(4))]):
        await pool.execute(
            """
            insert into dead_letters (consumer, lane, key, topic, log_offset, epoch, transaction_id, sequence, type,
                                      event_id, value, reason)
            values ('scoring', $1, 'vic', 'content.events', $2, 1, 1, $2, $3, $4, $5, $6)
            """,
            fact.partition,
            number,
            fact.type,
            fact.event_id,
            fact.value,
            "bad" if number == 0 else None,
        )
    path = f"/parked-keys/{story.partition_of('vic')}/vic/replay"
    answers = [(await operator.post(path)).json() for _ in range(3)]
    assert [answer["applied"] for answer in answers] == [2, 2, 1]
    assert [answer["left"] for answer in answers] == [3, 1, 0]
    assert {answer["reason"] for answer in answers} == {None}
