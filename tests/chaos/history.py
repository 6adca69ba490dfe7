"""What the clients of a run were told: the one side of every comparison."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from shared.messaging.facts import InboundFact
from shared.position import Position
from tests.oracle.oracle import Scores


@dataclass(frozen=True)
class Acknowledged:
    """A command that a client was told has happened.

    Attributes:
        type: of the fact it becomes, as the service stores it.
        marker: what that fact and no other bears: see `command_checks.marker_of`.
        id: that the answer gave to what was made; empty where it gave none.
        key: its Idempotency-Key; None for commands that have none.
        token: its consistency tokens.
        attempts: how often it was sent.
        chain: of a purchase, whom it must be credited to, by level; of a join, by whom the person came. None: not told.
    """

    type: str
    marker: str
    person: str
    id: str
    key: str | None
    token: str
    attempts: int = 1
    chain: tuple[str, ...] | None = None


class Reading(NamedTuple):
    """A read that carried the tokens of a write: whether it showed that."""

    marker: str
    where: str
    seen: bool


@dataclass
class History:
    """Everything that the clients of one world saw.

    Attributes:
        otherwise: answers that no client may get, as sentences: a repeat answered differently, a status out of place.
    """

    acknowledged: list[Acknowledged] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    otherwise: list[str] = field(default_factory=list)

    @property
    def retries(self) -> int:
        return sum(act.attempts - 1 for act in self.acknowledged)


@dataclass(frozen=True)
class Stored:
    """A fact in the event store of a service.

    Attributes:
        partition: None where nothing is published of it.
    """

    service: str
    stream: str
    version: int
    id: str
    type: str
    partition: int | None
    position: Position
    occurred_at: datetime
    recorded_at: datetime
    data: dict[str, Any]


class Kept(NamedTuple):
    """An answer kept under an Idempotency-Key."""

    service: str
    key: str
    status: int
    token: str


class Journaled(NamedTuple):
    """A row of scoring's journal."""

    lane: int
    seq: int
    event_id: str


class Reached(NamedTuple):
    """How far a consumer has folded one partition of a topic."""

    consumer: str
    topic: str
    partition: int
    position: Position


@dataclass
class Evidence:
    """All that is stored when everything has been folded: the other side.

    Attributes:
        logged: by topic, partition by partition in the order of offsets.
        journaled_types: message types of which scoring keeps every fact.
        parked: keys that wait for an operator, as sentences.
        began, ended: database clock before the first command and after the last fact.
        sums: what scoring's tables say, and a recomputation from scoring's own journal says, by table.
        scores: the numbers of scoring's tables, for the oracle, which computes them from the log.
    """

    stored: list[Stored]
    logged: dict[str, list[InboundFact]]
    kept: list[Kept]
    reached: list[Reached]
    journal: list[Journaled]
    journaled_types: frozenset[str]
    parked: list[str]
    began: datetime
    ended: datetime
    sums: dict[str, tuple[Sequence[Any], Sequence[Any]]]
    scores: Scores
