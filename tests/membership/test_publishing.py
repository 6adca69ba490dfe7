"""Each fact leaves the house as its message, with its key, or stays in."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from services.membership.events import PlaceFreed, PlaceTaken, Touchpoint
from services.membership.messages import TYPES
from services.membership.publishing import publish
from shared.commands.recorded import Recorded
from tests.membership.facts import (
    CODE,
    FOUNDED,
    FOUNDED_AT,
    JOIN,
    LAUNCHED,
    NOW,
    RUNNERS,
    TRANSFERRED,
    absent,
    bound,
    created,
    deferred,
    granted,
    joined,
    left,
    revoked,
    taken,
    used,
)

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
        (
            joined(
                share_code=CODE,
                inviter="cy",
                touchpoint=Touchpoint(layer="owned", channel="app", scene="mobile", space="digital"),
                referral="bound",
                referrer="cy",
            ),
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
                "share_code": CODE,
                "inviter": "cy",
                "touchpoint": {"layer": "owned", "channel": "app", "scene": "mobile", "space": "digital"},
                "referral": "bound",
                "referrer": "cy",
                **WHEN,
            },
        ),
        (
            granted("bo", "admin", "admin", "member"),
            "membership.role-granted.v1",
            "bo",
            {**COMMON, "person": "bo", "role": "admin", "granted_by": "ana", "roles": ["admin", "member"], **WHEN},
        ),
        (
            revoked("bo", "admin", "member"),
            "membership.role-revoked.v1",
            "bo",
            {**COMMON, "person": "bo", "role": "admin", "revoked_by": "ana", "roles": ["member"], **WHEN},
        ),
        (
            TRANSFERRED,
            "membership.ownership-transferred.v1",
            RUNNERS,
            {**COMMON, "previous_owner": "ana", "owner": "bo", **WHEN},
        ),
        (
            created(max_uses=3, expires_at=NOW),
            "membership.invitation-created.v1",
            "ana",
            {
                **COMMON,
                "invitation": CODE,
                "inviter": "ana",
                "max_uses": 3,
                "expires_at": "2026-03-01T17:30:00Z",
                **WHEN,
            },
        ),
        (
            bound("cy"),
            "membership.referral-bound.v1",
            "bo",
            {
                **COMMON,
                "person": "bo",
                "join": JOIN,
                "referrer": "cy",
                "joined_recorded_at": "2026-03-01T17:30:00Z",
                **WHEN,
            },
        ),
        (
            absent("loop"),
            "membership.referral-absent.v1",
            "bo",
            {**COMMON, "person": "bo", "join": JOIN, "reason": "loop", **WHEN},
        ),
    ],
)
def test_a_fact_is_published(fact: Any, type_name: str, key: str, data: dict[str, Any]) -> None:
    message = publish(recorded(fact))
    assert message is not None
    assert (message.type, message.key, message.subject) == (type_name, key, RUNNERS)
    assert msgspec.json.decode(msgspec.json.encode(message.data)) == data


@pytest.mark.parametrize(
    "fact",
    [
        PlaceTaken(community=RUNNERS, person="bo", occurred_at=NOW),
        PlaceFreed(community=RUNNERS, person="bo", occurred_at=NOW),
        used("bo", 1),
        taken("ana"),
        deferred(share_code=CODE),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_what_the_fact_of_the_join_says_already_stays_in_the_house(fact: Any) -> None:
    assert publish(recorded(fact)) is None


def test_every_message_is_the_message_of_some_fact() -> None:
    marks = test_a_fact_is_published.pytestmark
    assert {case[1] for case in marks[0].args[1]} == set(TYPES)
