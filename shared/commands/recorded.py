"""A fact with its place, as projections and publishers of its own service get it."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

M = TypeVar("M", bound=msgspec.Struct)


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """One new fact.

    Attributes:
        stream_id: its stream.
        version: its number in the stream, from 1.
        event_id: UUID (version 7) as text.
        event: the fact itself.
        occurred_at: when it happened, by the server's clock or as an import states.
        recorded_at: the database's clock in the transaction that writes it.
    """

    stream_id: str
    version: int
    event_id: str
    event: Any
    occurred_at: datetime
    recorded_at: datetime

    def told_as(self, message: type[M], **more: Any) -> M:
        """The message of this fact: `more`, when it was recorded, and every other field as the fact has it."""
        given = {"recorded_at": self.recorded_at, **more}
        fact = self.event
        return message(**given, **{name: getattr(fact, name) for name in _taken_over(message, tuple(given))})


@lru_cache(maxsize=1_000)
def _taken_over(message: type[msgspec.Struct], given: tuple[str, ...]) -> Sequence[str]:
    """The fields of a message that are as the fact has them."""
    return [name for name in message.__struct_fields__ if name not in given]


class Message(msgspec.Struct, frozen=True, gc=False):
    """What leaves the house of one fact.

    Attributes:
        type: CloudEvents type, e.g. `content.post-published.v1`.
        key: the person the fact is about, else the aggregate's id; decides the partition.
        subject: the aggregate's id.
        data: a msgspec Struct, the JSON value of the record.
    """

    type: str
    key: str
    subject: str
    data: Any
