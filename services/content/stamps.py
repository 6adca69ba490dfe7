"""Where and when: the fields with which every fact of a community begins."""

from datetime import datetime
from typing import Any

from services.content.events import InCommunity
from services.content.standing import Standing
from shared.moments import moment


def stamp(
    where: Standing | InCommunity, *, now: datetime, stated: datetime | None = None, importing: bool = False
) -> dict[str, Any]:
    """The fields of `InCommunity`, for a fact in the community of `where`.

    Args:
        stated, importing: see `shared.moments.moment`.

    Raises:
        Forbidden, Invalid: the time as stated is not allowed.
    """
    occurred_at, local_day = moment(stated, now=now, importing=importing, zone=where.zone)
    return {
        "organization": where.organization,
        "community": where.community,
        "zone": where.zone,
        "currency": where.currency,
        "occurred_at": occurred_at,
        "local_day": local_day,
    }


def stamp_of_act(act: InCommunity) -> dict[str, Any]:
    """The fields by which a fact that takes back an act tells when that was."""
    return {"act_occurred_at": act.occurred_at, "act_local_day": act.local_day}
