"""Each fact leaves the house as its message, with its key; places stay in."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from services.membership.events import PlaceFreed, PlaceTaken
from services.membership.publishing import publish
from shared.commands.recorded import Recorded
from tests.membership.facts import FOUNDED, FOUNDED_AT, JOIN, LAUNCHED, NOW, RUNNERS, joined, left

STORED_AT = datetime(2026, 3, 1, 17, 30, 1, tzinfo=UTC)
COMMON = {"organization": "acme", "community": RUNNERS, "zone": "Asia/Shanghai", "currency": "CNY"}
WHEN = {"occurred_at": "2026-03-01T17:30:00Z", "recorded_at": "2026-03-01T17:30:01Z", "local_day": "2026-03-02"}


def recorded(event: Any) -> Recorded:
    return Recorded("stream", 1, "0193a5b0-0000-7000-8000-000000000001", event, event.occurred_at, STORED_AT)


@pytest.mark.parametrize(
    ("fact", "type_name", "key", "data"),
    [
        (
            FOUNDED,
            "membership.community-founded.v1",
            RUNNERS,
            {
                **COMMON,
                "owner": "ana",
                "kind": "general",
                "capacity": None,
                "entry": ["open"],
                "occurred_at": FOUNDED_AT.isoformat().replace("+00:00", "Z"),
                "recorded_at": WHEN["recorded_at"],
                "local_day": date(2026, 3, 1).isoformat(),
                "landing_url": None,
            },
        ),
        (LAUNCHED, "membership.community-launched.v1", RUNNERS, {**COMMON, **WHEN, "landing_url": None}),
        (
            joined(),
            "membership.member-joined.v1",
            "bo",
            {
                **COMMON,
                "community_status": "launched",
                "person": "bo",
                "roles": ["member"],
                "first_in_community": True,
                "join": JOIN,
                "invitation": None,
                "share_code": None,
                "inviter": None,
                "touchpoint": None,
                "referral": "none",
                "referrer": None,
                **WHEN,
            },
        ),
        (
            left(),
            "membership.member-left.v1",
            "bo",
            {**COMMON, "person": "bo", "within_probation": True, "joined_at": "2026-03-01T17:30:00Z", **WHEN},
        ),
    ],
)
def test_a_fact_is_published(fact: Any, type_name: str, key: str, data: dict[str, Any]) -> None:
    message = publish(recorded(fact))
    assert message is not None
    assert (message.type, message.key, message.subject) == (type_name, key, RUNNERS)
    assert msgspec.json.decode(msgspec.json.encode(message.data)) == data


@pytest.mark.parametrize("kind", [PlaceTaken, PlaceFreed])
def test_places_stay_in_the_house(kind: Any) -> None:
    assert publish(recorded(kind(community=RUNNERS, person="bo", occurred_at=NOW))) is None
