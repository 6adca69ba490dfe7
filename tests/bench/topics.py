"""Fill topics as the relay does: 50,000 joins, then what those members do over some days."""

import random
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec
from uuid_utils import uuid7

from services.campaigns.messages import Line, Link, PurchaseAttributed, PurchaseRecorded
from services.content.messages import CommentAdded, ContentShared, PostPublished, ReactionAdded
from services.membership.messages import MemberJoined
from shared.codes import new_code
from shared.commands.recorded import Message, Recorded
from shared.messaging.cloudevents import envelope, record_headers
from shared.messaging.log import Log, Outgoing, TopicPartition
from shared.partitioning import partition_of
from shared.position import START, Position

PARTITIONS = 12
ORGANIZATION = "acme"
BEGINNING = datetime(2026, 3, 2, tzinfo=UTC)
POSTING = timedelta(days=3)
PAID_MINOR = 19_900
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
    for act in _acts(crowd, count):
        yield _post(relayed, act)


def mixed(crowd: Crowd, count: int) -> Iterator[tuple[TopicPartition, Outgoing]]:
    """Facts of content and campaigns: of twenty 4 posts, 7 comments, 6 reactions, 1 share, and a purchase with its
    attribution to two people. Who acts is drawn as for `posts`.
    """
    content, campaigns = Relayed("content"), Relayed("campaigns")
    kinds = [_post] * 4 + [_comment] * 7 + [_reaction] * 6 + [_share]
    for number, act in enumerate(_acts(crowd, count)):
        turn = number % 20
        if turn == 18:
            bought, purchase = act, str(uuid7())
            yield _purchase(campaigns, bought, purchase)
        elif turn == 19:
            chain = [crowd.persons[int(purchase[-8:], 16) % len(crowd.persons)], act.person]
            yield _attribution(campaigns, bought, purchase, chain)
        else:
            yield kinds[number * 7 % len(kinds)](content, act)


class _Act(NamedTuple):
    """Somebody does something."""

    person: str
    community: str
    at: datetime

    @property
    def common(self) -> dict[str, Any]:
        """What all messages say."""
        return {
            "organization": ORGANIZATION,
            "community": self.community,
            "zone": "Asia/Shanghai",
            "currency": "CNY",
            "occurred_at": self.at,
            "recorded_at": self.at,
            "local_day": (self.at + timedelta(hours=8)).date(),
        }


def _acts(crowd: Crowd, count: int) -> Iterator[_Act]:
    chance = random.Random(20260302)
    members = list(zip(*crowd, strict=True))
    chance.shuffle(members)
    weights = list(accumulate(1 / rank for rank in range(1, len(members) + 1)))
    for number in range(count):
        at = BEGINNING + POSTING * (number / count)
        person, community = members[bisect(weights, chance.random() * weights[-1])]
        yield _Act(person, community, at)


def _post(relayed: Relayed, act: _Act) -> tuple[TopicPartition, Outgoing]:
    post = str(uuid7())
    published = PostPublished(**act.common, post=post, author=act.person, kind="text")
    return relayed.record(Message("content.post-published.v1", act.person, post, published), act.at)


def _comment(relayed: Relayed, act: _Act) -> tuple[TopicPartition, Outgoing]:
    comment, post = str(uuid7()), str(uuid7())
    added = CommentAdded(
        **act.common, comment=comment, post=post, post_author="somebody", author=act.person, floor=1, parent=None
    )
    return relayed.record(Message("content.comment-added.v1", act.person, comment, added), act.at)


def _reaction(relayed: Relayed, act: _Act) -> tuple[TopicPartition, Outgoing]:
    reaction, post = str(uuid7()), str(uuid7())
    added = ReactionAdded(
        **act.common,
        reaction=reaction,
        target_kind="post",
        target=post,
        target_author="somebody",
        person=act.person,
        kind="like",
        counts=True,
    )
    return relayed.record(Message("content.reaction-added.v1", act.person, reaction, added), act.at)


def _share(relayed: Relayed, act: _Act) -> tuple[TopicPartition, Outgoing]:
    share, post = str(uuid7()), str(uuid7())
    shared = ContentShared(
        **act.common,
        share=share,
        code=new_code(),
        sharer=act.person,
        target_kind="post",
        target=post,
        channel="moments",
        parent=None,
    )
    return relayed.record(Message("content.content-shared.v1", act.person, share, shared), act.at)


def _purchase(relayed: Relayed, act: _Act, purchase: str) -> tuple[TopicPartition, Outgoing]:
    recorded = PurchaseRecorded(
        **act.common,
        purchase=purchase,
        order_id=purchase,
        buyer=act.person,
        lines=[Line(product="shoes", quantity=1, amount_minor=PAID_MINOR)],
        paid_minor=PAID_MINOR,
        commissionable_minor=PAID_MINOR,
        share_code=None,
        campaign=None,
    )
    return relayed.record(Message("campaigns.purchase-recorded.v1", act.person, purchase, recorded), act.at)


def _attribution(relayed: Relayed, act: _Act, purchase: str, chain: list[str]) -> tuple[TopicPartition, Outgoing]:
    attributed = PurchaseAttributed(
        **act.common,
        purchase=purchase,
        order_id=purchase,
        buyer=act.person,
        chain=[
            Link(level=level, person=person, by="binding")
            for level, person in enumerate(dict.fromkeys(chain), 1)
            if person != act.person
        ],
        paid_minor=PAID_MINOR,
        commissionable_minor=PAID_MINOR,
        act_occurred_at=act.at,
        act_local_day=act.common["local_day"],
    )
    return relayed.record(Message("campaigns.purchase-attributed.v1", act.person, purchase, attributed), act.at)


async def fill(log: Log, topics: Sequence[str], records: Iterable[tuple[TopicPartition, Outgoing]]) -> None:
    """Write topics, in rounds."""
    await log.create_topics(topics, partitions=PARTITIONS)
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
