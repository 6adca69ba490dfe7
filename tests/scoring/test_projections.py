"""One person's facts give one result, whatever else arrives in between and however it is cut into batches."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scoring.projections import ScoringProjection
from shared.messaging.facts import InboundFact, Poison
from shared.messaging.lanes import Lanes, poison_reason
from tests.scoring.feeder import Feeder, as_records
from tests.scoring.publishing import STINGY, publish_rules
from tests.scoring.recomputing import recomputed, recomputed_commission
from tests.scoring.story import NOON, Story
from tests.scoring.tables import empty, tables

PEOPLE = [("acme", "ana"), ("acme", "bo"), ("acme", "cai"), ("zenith", "ana"), ("acme", "dee")]
ACTIONS = st.tuples(
    st.sampled_from(PEOPLE),
    st.integers(0, 1),
    st.integers(-3, 3),
    st.sampled_from(["post"] * 4 + ["remove", "restore"] * 3 + ["member"] * 2)
    | st.sampled_from(["comment", "uncomment", "react", "react", "unreact", "unreact", "share"])
    | st.sampled_from(["buy", "attribute", "refund", "refund"]),
)
Action = tuple[tuple[str, str], int, int, str]


class History:
    """Makes the facts of actions, per topic in the order in which they happened."""

    def __init__(self) -> None:
        self.stories = {organization: Story(organization=organization) for organization in ("acme", "zenith")}
        self.communities = {
            (name, number): story.community() for name, story in self.stories.items() for number in (0, 1)
        }
        self.members: list[InboundFact] = []
        self.content: list[InboundFact] = []
        self.campaigns: list[InboundFact] = []
        self._standing: dict[tuple[Any, ...], list[InboundFact]] = {}
        self._left: dict[str, int] = {}
        self._inside: dict[tuple[Any, ...], bool] = {}

    def act(self, minute: int, action: Action) -> None:
        (organization, person), number, day, name = action
        story, community = self.stories[organization], self.communities[organization, number]
        at = NOON + timedelta(days=day, minutes=minute)
        later = at + timedelta(days=1)
        own = {kind: self._standing.setdefault((organization, person, number, kind), []) for kind in KINDS}
        match name:
            case "post":
                own["post"].append(story.published(person, community, at=at))
                self.content.append(own["post"][-1])
            case "remove" if own["post"]:
                own["removed"].append(own["post"].pop(minute % len(own["post"])))
                self.content.append(story.removed(own["removed"][-1], at=later))
            case "restore" if own["removed"]:
                own["post"].append(own["removed"].pop())
                self.content.append(story.restored(own["post"][-1], at=later))
            case "comment":
                own["comment"].append(story.commented(person, community, at=at))
                self.content.append(own["comment"][-1])
            case "uncomment" if own["comment"]:
                self.content.append(story.comment_removed(own["comment"].pop(0), at=later))
            case "react":
                own["reaction"].append(story.reacted(person, community, counts=minute % 3 > 0, at=at))
                self.content.append(own["reaction"][-1])
            case "unreact" if own["reaction"]:
                self.content.append(story.reaction_withdrawn(own["reaction"].pop(), at=later))
            case "share":
                self.content.append(story.shared(person, community, at=at))
            case "member":
                self._join_or_leave(story, person, community, at)
            case "buy" | "attribute" | "refund":
                self._trade(story, person, community, name, minute, at, own)

    def _join_or_leave(self, story: Story, person: str, community: str, at: datetime) -> None:
        first, active = (person, community) not in self._inside, self._inside.get((person, community), False)
        self._inside[person, community] = not active
        joined = story.joined(person, community, first=first, at=at) if not active else None
        self.members.append(joined or story.left(person, community, at=at))

    def _trade(
        self, story: Story, person: str, community: str, name: str, minute: int, at: datetime, own: dict[str, Any]
    ) -> None:
        if name == "buy":
            paid = [0, 99, 100, 1234, 10**12][minute % 5]
            bought = story.bought(person, community, paid, commissionable=paid * 2 // 3, at=at)
            own["order"].append(bought)
            own["unattributed"].append(bought)
            self._left[bought.event_id] = paid
            self.campaigns.append(bought)
        elif name == "attribute" and own["unattributed"]:
            others = [other for _, other in PEOPLE[:3] + PEOPLE[4:] if other != person] + ["stranger"]
            chain = (others[minute % len(others)], others[(minute + 1) % len(others)], None)
            self.campaigns.append(story.attributed(own["unattributed"].pop(), *chain[minute % 3 :][:2], at=at))
        elif name == "refund" and own["order"]:
            bought = own["order"][minute % len(own["order"])]
            left = self._left[bought.event_id]
            amount = left if minute % 4 == 0 else min(left, 33)
            if amount:
                self._left[bought.event_id] -= amount
                self.campaigns.append(story.refunded(bought, amount, at=at + timedelta(days=1)))


KINDS = ("post", "removed", "comment", "reaction", "order", "unattributed")


def history(actions: Sequence[Action]) -> list[list[InboundFact]]:
    """The facts of these actions, per topic in the order in which they happened."""
    told = History()
    for minute, action in enumerate(actions):
        told.act(minute, action)
    return [told.members, told.content, told.campaigns]


def merged(topics: Sequence[Sequence[InboundFact]], chance: random.Random) -> list[InboundFact]:
    """Some interleaving of the topics' partitions."""
    queues: dict[tuple[str, int], list[InboundFact]] = {}
    for topic in topics:
        for fact in topic:
            queues.setdefault((fact.topic, fact.partition), []).append(fact)
    waiting = [list(reversed(queue)) for queue in queues.values()]
    result = []
    while waiting := [queue for queue in waiting if queue]:
        result.append(chance.choice(waiting).pop())
    return result


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(ACTIONS, min_size=1, max_size=60), seed=st.integers(0, 2**32))
async def test_any_interleaving_and_any_cut_gives_the_same_tables(
    pool: "asyncpg.Pool[asyncpg.Record]", actions: list[Any], seed: int
) -> None:
    chance = random.Random(seed)
    topics = history(actions)
    outcomes = []
    async with pool.acquire() as connection:
        await connection.execute("truncate ruleset_versions restart identity")
        await publish_rules(connection, STINGY, NOON - timedelta(days=chance.randint(0, 2)))
        await publish_rules(connection, STINGY, NOON + timedelta(hours=1), organization="zenith", version=2)
        for _ in range(2):
            await empty(connection)
            small = ScoringProjection(persons_in_memory=2, counts_in_memory=4)
            feeder = Feeder(connection, chance.choice([small, ScoringProjection()]))
            facts = merged(topics, chance)
            while facts:
                size = chance.randint(1, 12)
                await feeder.apply(facts[:size])
                facts = facts[size:]
                if chance.random() < 0.3:
                    feeder.memory.clear()
            outcomes.append(await tables(connection))
        assert outcomes[0] == outcomes[1]
        assert outcomes[0]["journal"] if any(topics) else True
        stored = [(row[0], row[1], row[4], *row[5:7]) for row in outcomes[0]["standings"]]
        assert sorted(stored, key=repr) == await recomputed(connection)
        due = [row[:4] for row in outcomes[0]["commission_standings"] if row[3]]
        assert due == await recomputed_commission(connection)
        assert not await connection.fetch(
            """
            select from standings
             where points <> (select coalesce(sum(points_given), 0)
                                from point_entries
                               where (point_entries.person_no, point_entries.community_no)
                                   = (standings.person_no, standings.community_no))
            """
        )
        for row in await connection.fetch("select lane, count(*), min(seq), max(seq) from journal group by lane"):
            assert row["min"] == 1
            assert row["max"] == row["count"]


async def test_a_post_before_the_join_ranks_nobody_until_the_join(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    story = Story()
    community = story.community()
    async with pool.acquire() as connection:
        feeder = Feeder(connection)
        await feeder.apply([story.published("ana", community)])
        assert await connection.fetchval("select active from standings") is False
        assert await connection.fetchval("select coalesce(sum(members), 0)::int from rank_buckets") == 0
        await feeder.apply([story.joined("ana", community)])
        assert await connection.fetchval("select active from standings") is True
        assert await connection.fetchval("select sum(members)::int from rank_buckets") == 2


async def test_who_leaves_keeps_the_score_and_who_returns_is_not_scored_again(
    pool: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    story = Story()
    community = story.community()
    async with pool.acquire() as connection:
        feeder = Feeder(connection)
        await feeder.apply([story.joined("ana", community)])
        before = await connection.fetchrow("select activity_key, active from standings")
        await feeder.apply([story.left("ana", community)])
        assert await connection.fetchrow("select activity_key, active from standings") == (
            before["activity_key"],
            False,
        )
        assert await connection.fetchval("select sum(members)::int from rank_buckets") == 0
        await feeder.apply([story.joined("ana", community, first=False)])
        assert await connection.fetchrow("select activity_key, active from standings") == before
        assert await connection.fetchval("select count(*) from point_entries") == 1


async def test_memory_of_a_failed_transaction_is_not_needed(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    story = Story()
    community = story.community()
    good = [story.published("ana", community) for _ in range(3)]
    async with pool.acquire() as connection:
        feeder = Feeder(connection)
        await feeder.apply(good[:1])
        with pytest.raises(Poison):
            await feeder.apply([good[1], story.removed(good[0]), story.removed(good[1]), story.removed(good[2])])
        await feeder.apply(good[1:])
        assert await connection.fetchval("select points from standings") == 30
        assert await connection.fetchval("select max(seq) from journal") == 3


async def test_a_fact_of_the_wrong_shape_can_never_be_applied(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    story = Story()
    community = story.community()
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"organization": 7}, "cannot be read"),
        ({"author": "x" * 65}, "cannot be read"),
        ({"occurred_at": "2026-03-01T12:00:00"}, "cannot be read"),
        ({"local_day": "2026-02-30"}, "cannot be read"),
        ({"community": "0190A0A0-0000-7000-8000-000000000000"}, "not the id of a community"),
        ({"community": "x" * 36}, "not the id of a community"),
        ({"post": "y" * 36}, "hex"),
        ({"author": "somebody else"}, "key"),
        ({"organization": "a\0b"}, "invalid byte sequence"),
    ]
    async with pool.acquire() as connection:
        feeder = Feeder(connection)
        for change, reason in wrong:
            facts = [story.published("ana", community), story.published("ana", community, **change)]
            with pytest.raises((Poison, asyncpg.PostgresError), match=reason) as caught:
                await feeder.apply(facts)
            assert poison_reason(caught.value) is not None
        assert await connection.fetchval("select count(*) from journal") == 0


async def test_the_same_event_is_never_journaled_twice(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    story = Story()
    fact = story.published("ana", story.community())
    async with pool.acquire() as connection:
        feeder = Feeder(connection)
        await feeder.apply([fact])
        with pytest.raises(asyncpg.UniqueViolationError):
            await feeder.apply([fact])


async def test_days_long_before_1970_and_far_ahead_are_folded(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    story = Story(zone="Pacific/Auckland")
    community = story.community()
    async with pool.acquire() as connection:
        feeder = Feeder(connection)
        for year in (1926, 1969, 1997, 2026):
            await feeder.apply([story.published("ana", community, at=NOON.replace(year=year))])
        days = await connection.fetch("select day::text from day_counts order by day")
        assert [row[0] for row in days] == ["1926-03-01", "1969-03-02", "1997-03-02", "2026-03-02"]  # +11:30 until 1945
        newest_only = Feeder(connection)
        await newest_only.apply([story.published("bo", community, at=NOON)])
        keys = await connection.fetch("select distinct activity_key from standings")
        assert len(keys) == 1


async def test_a_person_of_another_organization_is_another_person(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    acme, zenith = Story(organization="acme"), Story(organization="zenith")
    async with pool.acquire() as connection:
        await Feeder(connection).apply(
            [acme.published("ana", acme.community()), zenith.published("ana", zenith.community())]
        )
        assert await connection.fetchval("select count(*) from persons") == 2


async def test_delivering_everything_again_changes_nothing(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    chance = random.Random(5)
    actions = [
        (
            chance.choice(PEOPLE),
            chance.randint(0, 1),
            chance.randint(-3, 3),
            chance.choice(["post", "remove", "member", "buy", "attribute", "refund"]),
        )
        for _ in range(200)
    ]
    facts = merged(history(actions), chance)
    chunks = as_records(facts, repeated=True)
    lanes = Lanes(ScoringProjection(), pool)
    for partition, records in chunks:
        await lanes.fold([(partition, records[:20])])
    await lanes.fold(chunks)
    async with pool.acquire() as connection:
        once = await tables(connection)
        assert len(once["journal"]) == len(facts)
        await lanes.fold(chunks)
        await Lanes(ScoringProjection(), pool).fold(chunks)
        assert await tables(connection) == once
        await empty(connection)
        await Feeder(connection).apply(facts)
        assert await tables(connection) == once


async def test_a_removal_out_of_nowhere_parks_its_author_and_nobody_else(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    story = Story(lanes=1)
    community = story.community()
    lost = story.published("ana", community)
    facts = [
        story.published("bo", community),
        story.removed(lost),
        story.published("ana", community),
        story.published("bo", community),
    ]
    await Lanes(ScoringProjection(), pool).fold(as_records(facts))
    letters = await pool.fetch("select key, type, reason from dead_letters order by id")
    assert [tuple(letter) for letter in letters] == [
        ("ana", "content.post-removed.v1", "ana has no post_published of 2026-03-01 left to take back"),
        ("ana", "content.post-published.v1", None),
    ]
    rows = await pool.fetch("select person, points from standings")
    assert [tuple(row) for row in rows] == [("bo", 20)]
