"""Read the journal back: each row as the fact that was folded when it was written."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec

from services.scoring.inbound import TYPE_OF_KIND, Kind, Link, Message, Undone, message_of_kind
from shared.messaging.facts import InboundFact


class Journaled(NamedTuple):
    """A row of the journal.

    Attributes:
        message: with the fields that are folded. What the journal does not keep, because the version of the rules says
            it already, is anything. A void row says nothing.
        ruleset: number of the version; None: it counted for nothing.
    """

    seq: int
    fact: InboundFact
    message: Message
    ruleset: int | None
    person_no: int | None
    community_no: int


_ROWS = """
select seq, event_id::text, kind, occurred_at, recorded_at, local_day, act_id::text, act_day, amount, details::text,
       ruleset, ruleset is not null as counts, void, coalesce(persons.organization, communities.organization) as organization,
       community::text, zone, person, person_no, community_no
  from ({}) as journal
  join communities using (community_no)
  left join persons using (person_no)
 order by seq
"""
_PAGE = _ROWS.format("select * from journal where lane = $1 and seq > $2 order by seq limit $3")
_NUMBERED = _ROWS.format("select * from journal where lane = $1 and seq = any ($2)")

_COLUMNS = {
    "purchase": "act_id",
    "act_local_day": "act_day",
    "act_occurred_at": "occurred_at",
    "first_in_community": "counts",
}
"""Of fields that are called otherwise there."""


async def page(connection: Any, lane: int, after: int, limit: int) -> list[Journaled]:
    """The rows of a lane that follow a journal number, in order."""
    return [_journaled(lane, row) for row in await connection.fetch(_PAGE, lane, after, limit)]


async def numbered(connection: Any, lane: int, numbers: Sequence[int]) -> list[Journaled]:
    """The rows of a lane with these journal numbers, in order."""
    return [_journaled(lane, row) for row in await connection.fetch(_NUMBERED, lane, numbers)]


def _journaled(lane: int, row: Any) -> Journaled:
    kind = Kind(row["kind"])
    type_name = TYPE_OF_KIND[kind]
    fact = InboundFact(
        topic=f"{type_name.partition('.')[0]}.events",
        partition=lane,
        offset=row["seq"],
        key=row["person"] or row["community"],
        type=type_name,
        event_id=row["event_id"],
        position="",
        traceparent=None,
        value=b"",
    )
    return Journaled(row["seq"], fact, _message(kind, row), row["ruleset"], row["person_no"], row["community_no"])


def _message(kind: Kind, row: Any) -> Message:
    message: type[Message] = Undone
    details = None
    if not row["void"]:
        message, details = message_of_kind(kind), row["details"]
    known = _details(details)
    return message(
        **{field: row[column] for field, column in _columns_of(message) if field not in known},
        **known,
    )


@cache
def _columns_of(message: type[Message]) -> Sequence[tuple[str, str]]:
    """The fields, and the columns of those that have one; the others are in `details`."""
    return [(field, _COLUMNS.get(field, field)) for field in message.__struct_fields__]


def _details(details: str | None) -> Mapping[str, Any]:
    if details is None:
        return {}
    known: dict[str, Any] = msgspec.json.decode(details)
    if "chain" in known:
        known["chain"] = msgspec.convert(known["chain"], list[Link])
    if "refund" in known:
        known["refunded"] = msgspec.UNSET
    return known
