"""The two other services and their relays, played by hand: what is committed, what is heard of it, what watermarks say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from services.campaigns.attribution import Attribution
from services.campaigns.replica import Replica
from shared.http.models import format_instant
from shared.messaging.facts import InboundFact
from shared.messaging.lanes import Lanes
from shared.messaging.log import Log, Outgoing, TopicPartition
from shared.messaging.watermarks import WatermarkReader, watermark_topic
from shared.position import START, Position
from tests.campaigns.facts import NOW, RUNNERS
from tests.support.serving import Served
from tests.support.toy import ToyRecord, chunk, envelope

SERVICES = ("campaigns", "membership", "content")
"""In this order the watermarks of the others are younger than every purchase that campaigns' own one covers."""

Chain = list[tuple[int, str, str]]


@dataclass
class Stage:
    """Campaigns, served, and the others.

    Attributes:
        heard: of each partition, how many of its committed records were folded.
        bought: how many purchases there are.
    """

    campaigns: Served
    log: Log
    committed: dict[TopicPartition, list[ToyRecord]] = field(default_factory=dict)
    heard: dict[TopicPartition, int] = field(default_factory=dict)
    bought: int = 0

    def __post_init__(self) -> None:
        self.lanes = Lanes(Replica(), self.campaigns.kernel.writer)
        self.restart()

    async def open(self) -> None:
        topics = [watermark_topic(service) for service in SERVICES]
        await self.log.create_topics(topics, partitions=1, compacted=True)

    def restart(self) -> None:
        """The consumer of campaigns starts anew: it remembers nothing of the watermarks it had read."""
        self.reader = WatermarkReader(self.log, SERVICES)
        self.attribution = Attribution(self.campaigns.kernel, self.reader)

    async def forget(self) -> None:
        """The others have committed nothing yet, nothing was heard of them but the community, and nobody has bought."""
        await self.campaigns.kernel.writer.execute(
            "truncate bindings, pending_joins, shares, purchases, unattributed, lanes, lane_topics, dead_letters"
        )
        self.committed.clear()
        self.heard.clear()

    async def buy(self, **changes: Any) -> str:
        """Record a purchase of cy, as if it had occurred and been recorded at NOW; return its id."""
        self.bought += 1
        order = {
            "community": RUNNERS,
            "order_id": f"order {self.bought}",
            "buyer": "cy",
            "paid_minor": 100,
            "currency": "CNY",
            "occurred_at": format_instant(NOW),
        }
        at = changes.pop("recorded_at", NOW)
        shop = self.campaigns.machine("purchases:write import")
        answer = await shop.post("/v1/purchases", {**order, **changes})
        assert answer.status_code == 201, answer.text
        id = str(answer.json()["id"])
        writer = self.campaigns.kernel.writer
        stream = await writer.fetchval("select stream_id from events where data ->> 'purchase' = $1", id)
        await writer.execute("update events set recorded_at = $2 where stream_id = $1", stream, at)
        await writer.execute("update unattributed set recorded_at = $2 where stream_id = $1", stream, at)
        return id

    def commit(self, *facts: InboundFact) -> None:
        """The facts stand in the log; nobody here has heard of them."""
        for fact in facts:
            partition = TopicPartition(fact.topic, fact.partition)
            records = self.committed.setdefault(partition, [])
            headers = envelope(
                _position(len(records) + 1), _position(len(records)) if records else START, kind=fact.type
            )
            records.append(ToyRecord(fact.topic, fact.partition, len(records), fact.key.encode(), headers, fact.value))

    async def hear(self, only: Sequence[TopicPartition] | None = None, *, most: int = 1_000_000) -> int:
        """Fold what is committed and not heard yet, up to `most` of each partition; return how much that was."""
        chunks = []
        for partition in self.committed if only is None else only:
            done = self.heard.get(partition, 0)
            if records := self.committed[partition][done : done + most]:
                chunks.append(chunk(records))
                self.heard[partition] = done + len(records)
        if chunks:
            folded = await self.lanes.fold(chunks)
            assert not folded.halts
        return sum(len(records) for _, records in chunks)

    async def mark(self, service: str, at: datetime) -> None:
        """A watermark of a service: all that it has committed by now, said to be all that it committed before `at`."""
        value = {
            "epoch": 1,
            "time": at,
            "positions": await self._positions(service),
            "seen": {
                other: (await self.log.end_offsets(watermark_topic(other)))[0] for other in SERVICES if other != service
            },
        }
        publisher = await self.log.publisher()
        record = Outgoing(service.encode(), [], msgspec.json.encode(value))
        await publisher.send({TopicPartition(watermark_topic(service), 0): [record]}, timeout_seconds=10)
        await publisher.close()

    async def mark_all(self, at: datetime) -> None:
        """A watermark of each, all of the same time."""
        for service in SERVICES:
            await self.mark(service, at)

    async def attribute(self) -> int:
        """A pass, after the latest watermarks were read; return how many purchases are left without a chain."""
        await self.reader.refresh()
        return await self.attribution.attribute_all()

    async def chain(self, id: str) -> Chain | None:
        """Of a purchase, as a shop reads it; None while it is pending."""
        read = (await self.campaigns.machine("purchases:write").get(f"/v1/purchases/{id}")).json()
        links = [(link["level"], link["person"], link["by"]) for link in read["chain"]]
        return links if read["attribution"] == "attributed" else None

    async def chains(self) -> dict[str, Chain]:
        """Of every purchase that is attributed."""
        rows = await self.campaigns.kernel.writer.fetch(
            "select purchase::text, chain from purchases where chain is not null"
        )
        return {
            row["purchase"]: [(link["level"], link["person"], link["by"]) for link in msgspec.json.decode(row["chain"])]
            for row in rows
        }

    async def _positions(self, service: str) -> Mapping[str, str]:
        if service == "campaigns":
            rows = await self.campaigns.kernel.writer.fetch(
                "select distinct on (partition) partition, epoch, transaction_id::text::bigint as transaction, sequence "
                "from events order by partition, epoch desc, transaction_id desc, sequence desc"
            )
            return {
                str(row["partition"]): str(Position(row["epoch"], row["transaction"], row["sequence"])) for row in rows
            }
        return {
            str(partition.partition): str(_position(len(records)))
            for partition, records in self.committed.items()
            if partition.topic == f"{service}.events"
        }


def _position(number: int) -> Position:
    """Of the so many-th record of a partition."""
    return Position(1, 1000 + number, number)
