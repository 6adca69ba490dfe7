"""Fill topics as the relay does: 50,000 joins, then posts of those members over some days."""

import random
from bisect import bisect
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

import msgspec
from uuid_utils import uuid7

from services.content.messages import PostPublished
from services.membership.messages import MemberJoined
from shared.commands.recorded import Message, Recorded
from shared.messaging.cloudevents import envelope, record_headers
from shared.messaging.log import Log, Outgoing, TopicPartition
from shared.partitioning import partition_of
from shared.position import START, Position

PARTITIONS = 12
ORGANIZATION = "acme"
BEGINNING = datetime(2026, 3, 2, tzinfo=UTC)
POSTING = timedelta(days=3)
FACTS_A_TRANSACTION = 8
RECORDS_A_ROUND = 24_000


class Crowd(NamedTuple):
    """Members, each in one community."""

    persons: list[str]
    communities: list[str]

    @classmethod
    def of(cls, persons: int, communities: int) -> "Crowd":
        names = [f"person-{number:06}" for number in range(persons)]
        homes = [str(uuid7()) for _ in range(communities)]
        return cls(names, [homes[number % communities] for number in range(persons)])


class Relayed:
    """Gives facts the places in a topic that a relay would give them."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._sequence = 0
        self._last: dict[int, Position] = {}

    def record(self, message: Message, at: datetime) -> tuple[TopicPartition, Outgoing]:
        self._sequence += 1
        partition = partition_of(message.key, PARTITIONS)
        position = Position(1, 1000 + self._sequence // FACTS_A_TRANSACTION, self._sequence)
        fact = Recorded(message.subject, 1, str(uuid7()), None, at, at)
        headers = record_headers(
            envelope(self._service, fact, message, None),
            position=str(position),
            previous=str(self._last.get(partition, START)),
        )
        self._last[partition] = position
        where = TopicPartition(f"{self._service}.events", partition)
        return where, Outgoing(message.key.encode(), headers, msgspec.json.encode(message.data))


def joins(crowd: Crowd) -> Iterator[tuple[TopicPartition, Outgoing]]:
    """Everybody joins on the day before the first post."""
    relayed = Relayed("membership")
    at = BEGINNING - timedelta(days=1)
    for person, community in zip(*crowd, strict=True):
        at += timedelta(milliseconds=500)
        joined = MemberJoined(
            organization=ORGANIZATION,
            community=community,
            community_status="launched",
            zone="Asia/Shanghai",
            currency="CNY",
            person=person,
            roles=["member"],
            first_in_community=True,
            occurred_at=at,
            recorded_at=at,
            local_day=(at + timedelta(hours=8)).date(),
        )
        yield relayed.record(Message("membership.member-joined.v1", person, f"{community}/{person}", joined), at)


def posts(crowd: Crowd, count: int) -> Iterator[tuple[TopicPartition, Outgoing]]:
    """Posts in the order of their times; the n-th member of a shuffled list writes in proportion to 1/n."""
    relayed = Relayed("content")
    chance = random.Random(20260302)
    members = list(zip(*crowd, strict=True))
    chance.shuffle(members)
    weights = list(accumulate(1 / rank for rank in range(1, len(members) + 1)))
    for number in range(count):
        at = BEGINNING + POSTING * (number / count)
        person, community = members[bisect(weights, chance.random() * weights[-1])]
        post = str(uuid7())
        published = PostPublished(
            organization=ORGANIZATION,
            community=community,
            zone="Asia/Shanghai",
            currency="CNY",
            post=post,
            author=person,
            kind="text",
            occurred_at=at,
            recorded_at=at,
            local_day=(at + timedelta(hours=8)).date(),
        )
        yield relayed.record(Message("content.post-published.v1", person, post, published), at)


async def fill(log: Log, topic: str, records: Iterable[tuple[TopicPartition, Outgoing]]) -> None:
    """Write a topic, in rounds."""
    await log.create_topics([topic], partitions=PARTITIONS)
    publisher = await log.publisher()
    try:
        batches: dict[TopicPartition, list[Outgoing]] = {}
        waiting = 0
        for where, record in records:
            batches.setdefault(where, []).append(record)
            waiting += 1
            if waiting == RECORDS_A_ROUND:
                await publisher.send(batches, timeout_seconds=60)
                batches, waiting = {}, 0
        await publisher.send(batches, timeout_seconds=60)
    finally:
        await publisher.close()
