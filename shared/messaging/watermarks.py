"""Watermarks: how a reader that has folded so far can know for sure what had not happened by some time."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from shared.failpoints import failpoint
from shared.messaging.log import Log, Outgoing, Publisher, TopicPartition
from shared.position import START, Position

SEND_SECONDS = 10.0
REMEMBERED = 600
"""Watermarks a reader remembers of each service: ten minutes of them."""


def watermark_topic(service: str) -> str:
    return f"{service}.watermarks"


class Watermark(msgspec.Struct, frozen=True):
    """Everything that the service committed before `time` stands in its topic up to `positions`.

    Attributes:
        offset: of this watermark in its own topic.
        time: of the service's database clock. Every fact whose `recorded_at` is earlier stands in the log. To be compared
            with times of that clock; whether something happened before something elsewhere, `younger_than` tells.
        positions: of each partition that has records, the last position.
        seen: of other services, the end offset of their watermarks' topic, read before `time`.
    """

    service: str
    offset: int
    epoch: int
    time: datetime
    positions: Mapping[int, Position]
    seen: Mapping[str, int]

    def covers(self, partition: int, position: Position) -> bool:
        """Whether the fact at that position of the partition stands at or below this watermark."""
        return position <= self.positions.get(partition, START)


class _Value(msgspec.Struct, frozen=True):
    """The JSON value of the record."""

    epoch: int
    time: datetime
    positions: dict[int, str]
    seen: dict[str, int]


_BEGUN = """
select min(xact_start)
  from pg_stat_activity
 where datname = current_database()
   and pid <> pg_backend_pid()
   and backend_type = 'client backend'
   and xact_start > clock_timestamp() - interval '1 minute'
"""
"""When the oldest open transaction was begun. A command takes no minute: older ones are backups and the like."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Value).decode


class _Candidate(msgspec.Struct):
    """True as soon as every transaction below `xmax` has ended and all their rows are acknowledged."""

    epoch: int
    time: datetime
    xmax: int
    seen: dict[str, int]
    positions: dict[int, str] | None = None


class WatermarkPublisher:
    """The relay's part.

    Args:
        others: services whose watermarks this one's name.
        interval_seconds: between two watermarks, at least.
        wanted: whether somebody reads them now.
    """

    def __init__(
        self,
        log: Log,
        service: str,
        others: Sequence[str],
        *,
        interval_seconds: float,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._log = log
        self._service = service
        self._others = [other for other in others if other != service]
        self._interval_seconds = interval_seconds
        self._wanted = wanted
        self._due_at = float("-inf")
        self._candidate: _Candidate | None = None

    async def prepare(self) -> None:
        """Create the topics that are missing, and forget what was not published."""
        topics = [watermark_topic(service) for service in (self._service, *self._others)]
        await self._log.create_topics(topics, partitions=1, compacted=True)
        self._candidate = None

    def acknowledged(self, through: int, last_positions: Mapping[int, str]) -> None:
        """The relay has seen that all transactions below `through` have ended, and that all their rows stand in the
        log, whose partitions end with `last_positions` or later.
        """
        candidate = self._candidate
        if candidate is not None and candidate.positions is None and through >= candidate.xmax:
            candidate.positions = dict(last_positions)

    async def step(self, connection: "asyncpg.Connection[Any]", publisher: Publisher) -> None:
        """Publish the candidate if it has become true; take a new one if that is due."""
        candidate, now = self._candidate, time.monotonic()
        if candidate is None:
            if now >= self._due_at and self._wanted():
                self._due_at = now + self._interval_seconds
                self._candidate = await self._take(connection)
        elif candidate.positions is not None:
            self._candidate = None
            await failpoint("relay.before-watermark")
            value = _Value(candidate.epoch, candidate.time, candidate.positions, candidate.seen)
            record = Outgoing(self._service.encode(), [("content-type", b"application/json")], _encode(value))
            where = TopicPartition(watermark_topic(self._service), 0)
            await publisher.send({where: [record]}, timeout_seconds=SEND_SECONDS)

    async def _take(self, connection: "asyncpg.Connection[Any]") -> _Candidate:
        seen = {other: (await self._log.end_offsets(watermark_topic(other)))[0] for other in self._others}
        # Three statements, in this order: what was committed before `time` has a transaction id below `xmax`, and what is
        # still being decided, `recorded_at` already taken and no transaction id yet, was not begun before `time`.
        row = await connection.fetchrow("select epoch, clock_timestamp() as time from database_epoch")
        begun = await connection.fetchval(_BEGUN)
        xmax = await connection.fetchval("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        return _Candidate(row["epoch"], min(row["time"], begun or row["time"]), xmax, seen)


class WatermarkReader:
    """Keeps the latest watermarks of some services.

    Args:
        asked: called at every `refresh`; where watermarks are published on demand only, this is the demand.
    """

    def __init__(self, log: Log, services: Sequence[str], *, asked: Callable[[], None] = lambda: None) -> None:
        self._log = log
        self._asked = asked
        self._next_offsets = dict.fromkeys(services, 0)
        self._known: dict[str, list[Watermark]] = {service: [] for service in services}

    async def refresh(self) -> None:
        """Read what was published since.

        Raises:
            LogUnavailable: the log cannot be reached.
        """
        self._asked()
        for service in self._known:
            where = TopicPartition(watermark_topic(service), 0)
            while records := await self._log.read(where, offset=self._next_offsets[service], max_records=500):
                for record in records:
                    self._take(service, record.offset, record.value or b"")
                self._next_offsets[service] = records[-1].offset + 1

    def latest(self, service: str) -> Watermark | None:
        return self._known[service][-1] if self._known[service] else None

    def younger_than(self, service: str, fact_of: str, partition: int, position: Position) -> Watermark | None:
        """The latest watermark of `service`, if it is younger than the fact at `position` in that partition of
        `fact_of`'s topic: if it was begun when a watermark that covers the fact already stood in the log.

        No clocks are compared.
        """
        latest = self.latest(service)
        covering = next((known for known in self._known[fact_of] if known.covers(partition, position)), None)
        if latest is None or covering is None:
            return None
        seen = latest.offset if service == fact_of else latest.seen.get(fact_of, 0)
        return latest if seen > covering.offset else None

    def _take(self, service: str, offset: int, value: bytes) -> None:
        found = _decode(value)
        known = self._known[service]
        if known and found.epoch < known[-1].epoch:
            return
        if known and found.epoch > known[-1].epoch:
            known.clear()
        positions = {partition: Position.parse(text) for partition, text in found.positions.items()}
        known.append(Watermark(service, offset, found.epoch, found.time, positions, found.seen))
        del known[:-REMEMBERED]


def folded_arguments(
    consumer: str, topic: str, watermark: Watermark, lanes: Collection[int], types: Collection[str]
) -> tuple[Any, ...]:
    """The eight arguments of the SQL function `folded_through`, which says whether a consumer has folded `lanes` of
    `topic` up to the watermark, no fact of `types` being parked there.

    Call it in the very statement that looks for what may be absent: `select folded_through($1, …), (select …)`.
    """
    ordered = sorted(lanes)
    positions = [watermark.positions.get(lane, START) for lane in ordered]
    return (
        consumer,
        topic,
        watermark.epoch,
        ordered,
        [position.epoch for position in positions],
        [position.transaction_id for position in positions],
        [position.sequence for position in positions],
        list(types),
    )
