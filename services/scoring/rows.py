"""The rows of the tables that grow by every fact, packed for COPY in the very pass that folds the fact."""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from struct import Struct
from typing import Any

import msgspec

from services.scoring.copying import bigint, days, integer, jsonb, micros, row, smallint, uuid, uuid_bytes
from services.scoring.inbound import Message
from services.scoring.ruleset import Effect

JOURNAL = "lane seq event_id kind community_no occurred_at recorded_at local_day person_no act_id act_day ruleset amount details"
ENTRY = "person_no seq community_no act points_wanted points_given weight_wanted weight_given reason"

_JOURNAL = row("h q 16s h i q q i")
_ACT = row("h q 16s h i q q i i 16s i i - -")
_ENTRY = row("i q i")
_EFFECT = Struct("!ihiqiqiiii")


def journal_row(
    lane: int,
    seq: int,
    event_id: str,
    message: Message,
    community_no: int,
    person_no: int | None,
    act_id: str | None,
    act_day: date | None,
    ruleset: int | None,
    amount: int | None = None,
    details: Mapping[str, Any] | None = None,
) -> bytes:
    """One row of `journal`.

    Raises:
        ValueError: an id is no UUID.
    """
    occurred_at, recorded_at, local_day = message.occurred_at, message.recorded_at, message.local_day
    at, day = micros(occurred_at), days(local_day)
    fields = (
        14, 2, lane, 8, seq, 16, uuid_bytes(event_id), 2, message.kind, 4, community_no,
        8, at, 8, at if recorded_at == occurred_at else micros(recorded_at), 4, day,
    )  # fmt: skip
    if person_no is not None and act_id is not None and act_day is not None and ruleset is not None and details is None:
        # Nearly every row; packed at once, in half the time.
        packed_day = day if act_day is local_day else days(act_day)
        return _ACT.pack(*fields, 4, person_no, 16, uuid_bytes(act_id), 4, packed_day, 4, ruleset, -1, -1)
    return b"".join((
        _JOURNAL.pack(*fields),
        integer(person_no),
        uuid(None if act_id is None else uuid_bytes(act_id)),
        integer(None if act_day is None else days(act_day)),
        integer(ruleset),
        bigint(amount),
        jsonb(None if details is None else msgspec.json.encode(details)),
    ))  # fmt: skip


def entry_row(person_no: int, seq: int, community_no: int, effect: Effect) -> bytes:
    """One row of `point_entries`."""
    return _ENTRY.pack(9, 4, person_no, 8, seq, 4, community_no) + _effect(effect)


@lru_cache(maxsize=10_000)
def _effect(effect: Effect) -> bytes:
    """The columns that say what changed: the same few for nearly all entries."""
    return _EFFECT.pack(
        2, effect.act, 8, effect.points_wanted, 8, effect.points_given, 4, effect.weight_wanted, 4, effect.weight_given
    ) + smallint(effect.reason)
