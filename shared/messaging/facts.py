"""What a consumer's projection gets: facts read off the log, lane by lane."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec


class InboundFact(msgspec.Struct, gc=False):
    """One record, its envelope read, its value not yet. Records that no relay wrote have no position.

    Attributes:
        topic, partition, offset: where it stands in the log.
        key: the record's key.
        type: CloudEvents type, e.g. `content.post-published.v1`.
        event_id: CloudEvents id, a UUID as text.
        position: `<epoch>-<transaction id>-<sequence>`.
        traceparent: W3C trace context or None.
        value: JSON.
        previous: the position of the fact before it in its partition, by which gaps are found; empty for a fact that
            was parked.
    """

    topic: str
    partition: int
    offset: int
    key: str
    type: str
    event_id: str
    position: str
    traceparent: str | None
    value: bytes
    previous: str = ""


class LaneFacts(msgspec.Struct, gc=False):
    """The facts of one lane in one transaction, in the order to fold them.

    Attributes:
        lane: partition number.
        facts: neither repeats nor parked ones among them.
        memory: what `apply` left here in this lane's last acknowledged transaction, or None if that is unknown or not
            the last change of the lane. Set it anew in every `apply`; it must never hold what other lanes change.
    """

    lane: int
    facts: list[InboundFact]
    memory: Any = None


class Poison(Exception):
    """This fact cannot be applied, now or later, without a change of code or data. Its key is parked.

    Args:
        fact: the fact.
        reason: a sentence for the operator.
    """

    def __init__(self, fact: InboundFact, reason: str) -> None:
        super().__init__(reason)
        self.fact = fact
        self.reason = reason


class Projection(Protocol):
    """Folds facts into tables of one service."""

    consumer: str
    """Name of the consumer: its lanes, locks and log group."""

    topics: Sequence[str]
    """Topics it listens to; all have the same number of partitions."""

    types: frozenset[str]
    """Message types it folds; others only advance the lane."""

    async def apply(self, connection: Any, lanes: Sequence[LaneFacts]) -> None:
        """Fold the facts of these lanes: fold in memory first, then write, one set-based statement per table, tables
        in one fixed order, rows that several lanes may touch sorted by key. Runs inside the lane transaction, under the
        locks of all these lanes; must not commit.

        Raises:
            Poison: one fact cannot be applied. The transaction is rolled back, the fact's key parked, the rest retried.
        """
        ...
