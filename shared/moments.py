"""When something happened, and on which local day: one rule for every service that records acts."""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.errors import Forbidden, Invalid

AHEAD = timedelta(minutes=5)
"""How far ahead of the server's clock an import may state a time: clocks of two machines differ."""


class Moment(NamedTuple):
    occurred_at: datetime
    """UTC."""

    local_day: date
    """The calendar date in the community's zone of `occurred_at`, or of now where an import states a later time."""


def moment(stated: datetime | None, *, now: datetime, importing: bool, zone: str) -> Moment:
    """When an act occurred: now, or the time that an import states.

    Args:
        stated: aware, in any offset; None unless the caller stated one.
        now: the server's clock, aware.
        importing: the caller has the scope `import`.
        zone: IANA name.

    Raises:
        Forbidden: `occurred-at-not-allowed`: only imports may state a time.
        Invalid: `occurred-at-in-future`, or `occurred-at-out-of-range` at the very ends of the calendar.
    """
    now = now.astimezone(UTC)
    if stated is None:
        return Moment(now, now.astimezone(ZoneInfo(zone)).date())
    if not importing:
        raise Forbidden(
            "occurred-at-not-allowed",
            "Only callers with the scope import may state occurred_at.",
        )
    try:
        occurred_at = stated.astimezone(UTC)
        local_day = min(occurred_at, now).astimezone(ZoneInfo(zone)).date()
    except OverflowError:
        raise Invalid("occurred-at-out-of-range", "occurred_at lies outside the calendar.") from None
    if occurred_at > now + AHEAD:
        raise Invalid(
            "occurred-at-in-future",
            "occurred_at may lie at most five minutes ahead of the server's clock.",
        )
    return Moment(occurred_at, local_day)
