"""Each fact leaves the house as its message, under the key of the person it is about, without what was written."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from services.content.events import FloorGiven
from services.content.publishing import publish
from shared.commands.recorded import Recorded
from tests.content.facts import (
    CODE,
    COMMENT,
    DRAFT,
    NOW,
    POST,
    PUBLISHED,
    REACTION,
    RUNNERS,
    SHARE,
    commented,
    edited,
    hidden,
    reacted,
    removed,
    restored,
    shared,
    uncommented,
    unhidden,
    unreacted,
    visited,
)

STORED_AT = datetime(2026, 3, 1, 17, 30, 1, tzinfo=UTC)
HERE = {
    "organization": "acme",
    "community": RUNNERS,
    "zone": "Asia/Shanghai",
    "currency": "CNY",
    "occurred_at": "2026-03-01T17:30:00Z",
    "recorded_at": "2026-03-01T17:30:01Z",
    "local_day": "2026-03-02",
}
OF_POST = {**HERE, "post": POST, "author": "bo"}
ACT = {"act_occurred_at": "2026-03-01T17:30:00Z", "act_local_day": "2026-03-02"}
COMMENTED = {**HERE, "comment": COMMENT, "post": POST, "author": "cy", "floor": 1}
REACTED = {
    **HERE,
    "reaction": REACTION,
    "target_kind": "post",
    "target": POST,
    "target_author": "bo",
    "person": "cy",
    "kind": "like",
    "counts": True,
}
SHARED = {**HERE, "share": SHARE, "code": CODE, "sharer": "bo"}


def recorded(fact: Any) -> Recorded:
    return Recorded("stream", 3, "0193a5b0-0000-7000-8000-000000000001", fact, fact.occurred_at, STORED_AT)


@pytest.mark.parametrize(
    ("fact", "type_name", "key", "subject", "data"),
    [
        (PUBLISHED, "post-published", "bo", POST, {**OF_POST, "kind": "text"}),
        (edited(DRAFT), "post-edited", "bo", POST, {**OF_POST, "version": 3}),
        (removed("ana"), "post-removed", "bo", POST, {**OF_POST, **ACT, "kind": "text", "removed_by": "ana"}),
        (hidden(), "post-removed", "bo", POST, {**OF_POST, **ACT, "kind": "text", "removed_by": "ana"}),
        (restored("bo"), "post-restored", "bo", POST, {**OF_POST, **ACT, "kind": "text", "restored_by": "bo"}),
        (unhidden(), "post-restored", "bo", POST, {**OF_POST, **ACT, "kind": "text", "restored_by": "ana"}),
        (commented(), "comment-added", "cy", COMMENT, {**COMMENTED, "post_author": "bo", "parent": None}),
        (uncommented("ana"), "comment-removed", "cy", COMMENT, {**COMMENTED, **ACT, "removed_by": "ana"}),
        (reacted(), "reaction-added", "cy", POST, REACTED),
        (unreacted(), "reaction-withdrawn", "cy", POST, {**REACTED, **ACT}),
        (
            shared(parent="7K3M9Q2X"),
            "content-shared",
            "bo",
            SHARE,
            {**SHARED, "target_kind": "post", "target": POST, "channel": "weibo", "parent": "7K3M9Q2X"},
        ),
        (visited(), "share-visited", "bo", SHARE, {**SHARED, "visitor": "cy", "counts": True}),
    ],
)
def test_a_fact_is_published(fact: Any, type_name: str, key: str, subject: str, data: dict[str, Any]) -> None:
    message = publish(recorded(fact))
    assert message is not None
    assert (message.type, message.key, message.subject) == (f"content.{type_name}.v1", key, subject)
    assert msgspec.json.decode(msgspec.json.encode(message.data)) == data


@pytest.mark.parametrize(
    "fact",
    [
        removed(withdraws=False),
        hidden(withdraws=False),
        restored(restores=False),
        unhidden(restores=False),
        FloorGiven(post=POST, comment=COMMENT, floor=1, occurred_at=NOW),
    ],
)
def test_what_changes_nothing_for_others_stays_in_the_house(fact: Any) -> None:
    assert publish(recorded(fact)) is None
