"""After a restore of another service's database, scores are those of a world that only ever had the surviving facts."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from services.scoring.inbound import Kind
from services.scoring.projections import ScoringProjection
from services.scoring.rebuild import Rebuild
from services.scoring.undoing import Undoing, undo
from shared import failpoints
from shared.database import Pool
from shared.failpoints import FailpointError
from shared.messaging.cloudevents import read_envelopes
from shared.messaging.facts import InboundFact
from shared.messaging.lanes import Lanes
from shared.messaging.local import LocalLog
from shared.messaging.log import Outgoing, TopicPartition
from shared.position import START, Position
from shared.shadow import open_shadow
from tests.scoring.feeder import Feeder
from tests.scoring.story import LANES, Story
from tests.scoring.tables import empty, tables
from tests.support.databases import Databases
from tests.support.toy import envelope

TOPICS = ("membership.events", "content.events", "campaigns.events")


@dataclass
class Told:
    """The log that scoring reads, and scoring's database.

    Attributes:
        last: of every partition, the position of its last record, as its writer's database knows it.
    """

    dsn: str
    pool: Pool
    log: LocalLog
    epochs: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOPICS, 1))
    last: dict[TopicPartition, Position] = field(default_factory=dict)

    async def tell(self, facts: Sequence[InboundFact]) -> None:
        """Append these facts to their topics, as relays do."""
        batches: dict[TopicPartition, list[Outgoing]] = {}
        for fact in facts:
            where = TopicPartition(fact.topic, fact.partition)
            headers = [
                (name, fact.event_id.encode() if name == "ce_id" else text)
                for name, text in self._next(where, fact.type)
            ]
            batches.setdefault(where, []).append(Outgoing(fact.key.encode(), headers, fact.value))
        await self._send(batches)

    async def restore(self, topic: str, last: dict[TopicPartition, Position]) -> None:
        """The database of a topic's writer becomes what it was when `last` was so; its epoch is raised."""
        self.epochs[topic] += 1
        wheres = [TopicPartition(topic, lane) for lane in range(LANES)]
        for where in wheres:
            self.last[where] = last.get(where, START)
        kind = topic.replace("events", "epoch-raised.v1")
        await self._send({where: [Outgoing(b"epoch", self._next(where, kind), b"{}")] for where in wheres})

    def _next(self, where: TopicPartition, kind: str) -> list[tuple[str, bytes]]:
        previous = self.last.get(where, START)
        epoch = self.epochs[where.topic]
        sequence = previous.sequence + 1
        self.last[where] = Position(epoch, 100 + sequence, sequence)
        return envelope(self.last[where], previous, kind=kind)

    async def _send(self, batches: dict[TopicPartition, list[Outgoing]]) -> None:
        publisher = await self.log.publisher()
        await publisher.send(batches, timeout_seconds=10)
        await publisher.close()

    async def hear(self) -> list[str]:
        """Fold all that can be folded; why lanes stopped."""
        lanes = Lanes(ScoringProjection(partitions=LANES), self.pool)
        wheres = [TopicPartition(topic, lane) for topic in TOPICS for lane in range(LANES)]
        chunks = []
        for where, offset in (await lanes.next_offsets(wheres)).items():
            chunks.append((where, read_envelopes(await self.log.read(where, offset=offset, max_records=1000))))
        folded = await lanes.fold([chunk for chunk in chunks if chunk[1]])
        assert await self.pool.fetch("select from dead_letters") == []
        return [halt.reason for halt in folded.halts.values()]

    async def recover(self) -> Undoing:
        """What `rebuild --swap` does."""
        shadow = await open_shadow(self.dsn, name="scoring rebuild", size=5)
        try:
            undone = await undo(shadow, self.log, ScoringProjection(partitions=LANES), range(LANES))
            rebuild = Rebuild(shadow, range(LANES), page_rows=7, say=lambda _: None)
            await rebuild.prepare()
            await rebuild.catch_up()
            await rebuild.swap()
            assert [each.different for each in await self._compared(rebuild)] == [0] * 7
            return undone
        finally:
            await shadow.close()

    async def _compared(self, rebuild: Rebuild) -> Any:
        await rebuild.prepare()
        await rebuild.catch_up()
        return await rebuild.compare()

    async def owed(self) -> dict[str, int]:
        """What a reader of `scoring.events` holds everybody's commission to be, entry by entry."""
        entries: dict[str, tuple[str, int]] = {}
        for type_name, text in await self.pool.fetch(
            "select type, data::text from events order by epoch, transaction_id, sequence"
        ):
            data = msgspec.json.decode(text)
            if type_name == "commission-booked.v1":
                assert data["entry"] not in entries, "booked twice"
                entries[data["entry"]] = (data["person"], data["amount"])
            else:
                assert entries.pop(data["entry"]) == (data["person"], data["amount"])
        owed: dict[str, int] = {}
        for person, amount in entries.values():
            owed[person] = owed.get(person, 0) + amount
        return {person: amount for person, amount in owed.items() if amount}


@pytest.fixture
async def told(scoring_database: str, pool: Pool, databases: Databases) -> AsyncIterator[Told]:
    async with databases.fresh() as dsn:
        log = await LocalLog.open(dsn)
        await log.create_topics([*TOPICS, "scoring.events"], partitions=LANES)
        yield Told(scoring_database, pool, log)
        await log.close()


PEOPLE = [f"person{number}" for number in range(9)]


def month(story: Story, community: str, name: str) -> list[InboundFact]:
    """Posts and orders of everybody, some taken back."""
    posts = [story.published(person, community) for person in PEOPLE for _ in range(3)]
    orders = [story.bought(person, community, 10_000 + number) for number, person in enumerate(PEOPLE)]
    facts = [*posts, *(story.removed(post) for post in posts[::4]), *orders]
    facts += [story.attributed(bought, f"earner of {name}", "star") for bought in orders]
    return facts + [story.refunded(bought, 333) for bought in orders[::2]]


async def expected_of(pool: Pool, databases_dsn: str, facts: Sequence[InboundFact]) -> Any:
    """The tables of a world that only ever had these facts."""
    async with pool.acquire() as connection:
        await empty(connection)
        await Feeder(connection, ScoringProjection(partitions=LANES)).apply(facts)
        return comparable(await tables(connection))


def comparable(found: Any) -> Any:
    """All but what was void and stays in the journal, and what was published meanwhile."""
    return {name: rows for name, rows in found.items() if name not in ("journal", "published")}


@pytest.mark.parametrize("restored", [["campaigns.events"], ["content.events"], list(TOPICS)])
async def test_only_what_survived_counts(told: Told, restored: list[str]) -> None:
    story = Story()
    community = story.community()
    before = [story.joined(person, community) for person in PEOPLE] + month(story, community, "before")
    late = story.bought("person1", community, 5000)  # attributed only after the backup, and again after the restore
    before.append(late)
    await told.tell(before)
    backup = dict(told.last)
    await told.hear()
    undone = [story.left("person0", community), story.attributed(late, "person2"), *month(story, community, "undone")]
    await told.tell(undone)
    await told.hear()
    for topic in restored:
        await told.restore(topic, backup)
    again = [story.published("person3", community)]
    if "campaigns.events" in restored:
        again.append(story.attributed(late, "person2"))
    await told.tell(again)
    reasons = await told.hear()
    assert len(reasons) == len(restored) * LANES
    assert all("epoch 2 follows epoch 1" in reason for reason in reasons)

    found = await told.recover()
    assert sorted(found.topics) == sorted(restored)
    assert found.rows == sum(fact.topic in restored for fact in undone)
    assert (found.bookings > 0) == ("campaigns.events" in restored)
    assert await told.hear() == []

    served, owed = await _served(told), await told.owed()
    survived = [fact for fact in undone if fact.topic not in restored]
    assert served == await expected_of(told.pool, told.dsn, [*before, *survived, *again])
    assert owed == await told.owed(), "as that world publishes it"


async def _served(told: Told) -> Any:
    async with told.pool.acquire() as connection:
        return comparable(await tables(connection))


async def test_cut_off_anywhere_nothing_is_taken_back_twice(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story()
    community = story.community()
    before = [story.joined(person, community) for person in PEOPLE]
    await told.tell(before)
    backup = dict(told.last)
    await told.tell(month(story, community, "undone"))
    await told.hear()
    assert await told.owed() != {}
    for topic in TOPICS:
        await told.restore(topic, backup)
    for point in ("rebuild.before-undo-commit", "rebuild.before-page-commit", "rebuild.before-swap-commit"):
        with monkeypatch.context() as broken:
            broken.setattr(
                failpoints, "_armed", failpoints._parse(f"{point}=raise@2" if "swap" not in point else f"{point}=raise")
            )
            with pytest.raises(FailpointError):
                await told.recover()
    await told.recover()
    assert await told.hear() == []
    assert await told.owed() == {}
    assert await _served(told) == await expected_of(told.pool, told.dsn, before)


async def test_a_rebuild_that_had_folded_what_was_undone_later_begins_anew(told: Told) -> None:
    story = Story()
    community = story.community()
    before = [story.joined(person, community) for person in PEOPLE]
    await told.tell(before)
    backup = dict(told.last)
    await told.tell(month(story, community, "undone"))
    await told.hear()
    shadow = await open_shadow(told.dsn, name="scoring rebuild", size=5)
    rebuild = Rebuild(shadow, range(LANES), page_rows=7, say=lambda _: None)
    await rebuild.prepare()
    await rebuild.catch_up()
    await shadow.close()
    for topic in TOPICS:
        await told.restore(topic, backup)
    await told.recover()
    assert await _served(told) == await expected_of(told.pool, told.dsn, before)


async def test_void_rows_that_came_since_the_rebuild_began_count_for_nothing(told: Told) -> None:
    """Marking them makes every rebuild begin anew; should one not, it passes them over all the same."""
    story = Story()
    community = story.community()
    before = [story.joined(person, community) for person in PEOPLE]
    await told.tell(before)
    await told.hear()
    shadow = await open_shadow(told.dsn, name="scoring rebuild", size=5)
    rebuild = Rebuild(shadow, range(LANES), page_rows=7, say=lambda _: None)
    await rebuild.prepare()
    await told.tell(month(story, community, "undone"))
    await told.hear()
    await told.pool.execute("update journal set void = true where kind <> $1", Kind.MEMBER_JOINED)
    await rebuild.catch_up()
    await rebuild.swap()
    await shadow.close()
    assert await _served(told) == await expected_of(told.pool, told.dsn, before)
