"""The rows of the tables that grow by every fact, packed for COPY in the very pass that folds the fact."""

from datetime import date, datetime

from services.scoring import copying
from services.scoring.ruleset import Effect

JOURNAL = "lane seq event_id kind community_no occurred_at recorded_at local_day person_no act_id act_day ruleset"
ENTRY = "person_no seq community_no act points_wanted points_given weight_wanted weight_given reason"

_JOURNAL = copying.row("h q 16s h i q q i")
_ACT = copying.row("h q 16s h i q q i i 16s i i")
_ENTRY = copying.row("i q i h q q i i")


def journal_row(
    lane: int,
    seq: int,
    event_id: str,
    kind: int,
    community_no: int,
    occurred_at: datetime,
    recorded_at: datetime,
    local_day: date,
    *,
    person_no: int | None = None,
    act_id: str | None = None,
    act_day: date | None = None,
    ruleset: int | None = None,
) -> bytes:
    """One row of `journal`.

    Raises:
        ValueError: an id is no UUID.
    """
    fields = (
        12, 2, lane, 8, seq, 16, copying.uuid_bytes(event_id), 2, kind, 4, community_no,
        8, copying.micros(occurred_at), 8, copying.micros(recorded_at), 4, copying.days(local_day),
    )  # fmt: skip
    if act_id is not None and person_no is not None and act_day is not None and ruleset is not None:
        # Nearly every row; packed at once, in half the time.
        packed_id = copying.uuid_bytes(act_id)
        return _ACT.pack(*fields, 4, person_no, 16, packed_id, 4, copying.days(act_day), 4, ruleset)
    return b"".join((
        _JOURNAL.pack(*fields),
        copying.integer(person_no),
        copying.uuid(None if act_id is None else copying.uuid_bytes(act_id)),
        copying.integer(None if act_day is None else copying.days(act_day)),
        copying.integer(ruleset),
    ))  # fmt: skip


def entry_row(person_no: int, seq: int, community_no: int, effect: Effect) -> bytes:
    """One row of `point_entries`."""
    return _ENTRY.pack(
        9, 4, person_no, 8, seq, 4, community_no, 2, effect.act, 8, effect.points_wanted, 8, effect.points_given,
        4, effect.weight_wanted, 4, effect.weight_given,
    ) + copying.smallint(effect.reason)  # fmt: skip
