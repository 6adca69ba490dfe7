"""When an act occurred, and on which local day."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from shared.errors import Forbidden, Invalid
from shared.moments import moment

NOW = datetime(2026, 3, 1, 17, 30, tzinfo=UTC)


def test_an_act_occurs_now_and_its_day_is_the_community_s() -> None:
    assert moment(None, now=NOW, importing=False, zone="UTC") == (NOW, date(2026, 3, 1))
    assert moment(None, now=NOW, importing=False, zone="Asia/Shanghai") == (NOW, date(2026, 3, 2))
    assert moment(None, now=NOW, importing=True, zone="America/New_York") == (NOW, date(2026, 3, 1))


def test_an_import_states_a_time_as_far_back_as_it_likes() -> None:
    long_ago = datetime(1969, 12, 31, 23, 0, tzinfo=timezone(timedelta(hours=-5)))
    occurred_at, local_day = moment(long_ago, now=NOW, importing=True, zone="UTC")
    assert occurred_at == datetime(1970, 1, 1, 4, 0, tzinfo=UTC)
    assert occurred_at.tzinfo is UTC
    assert local_day == date(1970, 1, 1)


def test_the_day_of_a_time_ahead_is_today() -> None:
    almost_midnight = datetime(2026, 3, 1, 23, 58, tzinfo=UTC)
    ahead = almost_midnight + timedelta(minutes=5)
    assert moment(ahead, now=almost_midnight, importing=True, zone="UTC") == (ahead, date(2026, 3, 1))


def test_more_than_five_minutes_ahead_is_refused() -> None:
    with pytest.raises(Invalid, match="occurred-at-in-future"):
        moment(NOW + timedelta(minutes=5, microseconds=1), now=NOW, importing=True, zone="UTC")


def test_only_imports_state_a_time() -> None:
    with pytest.raises(Forbidden, match="occurred-at-not-allowed"):
        moment(NOW, now=NOW, importing=False, zone="UTC")


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Shanghai", "UTC"])
def test_the_ends_of_the_calendar_are_refused_or_taken_never_a_crash(zone: str) -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=timezone(-timedelta(hours=12)))
    with pytest.raises(Invalid):
        moment(last, now=NOW, importing=True, zone=zone)
    if zone == "America/New_York":
        with pytest.raises(Invalid, match="occurred-at-out-of-range"):
            moment(first, now=NOW, importing=True, zone=zone)
    else:
        assert moment(first, now=NOW, importing=True, zone=zone) == (first, date(1, 1, 1))
