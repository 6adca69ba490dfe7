"""Each fact leaves the house as its message, under the author's key, without what was written."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from services.content.publishing import publish
from shared.commands.recorded import Recorded
from tests.content.facts import DRAFT, POST, PUBLISHED, RUNNERS, edited, removed

STORED_AT = datetime(2026, 3, 1, 17, 30, 1, tzinfo=UTC)
COMMON = {
    "organization": "acme",
    "community": RUNNERS,
    "zone": "Asia/Shanghai",
    "currency": "CNY",
    "post": POST,
    "author": "bo",
    "occurred_at": "2026-03-01T17:30:00Z",
    "recorded_at": "2026-03-01T17:30:01Z",
    "local_day": "2026-03-02",
}


@pytest.mark.parametrize(
    ("fact", "type_name", "data"),
    [
        (PUBLISHED, "content.post-published.v1", {**COMMON, "kind": "text"}),
        (edited(DRAFT), "content.post-edited.v1", {**COMMON, "version": 3}),
        (
            removed("ana"),
            "content.post-removed.v1",
            {
                **COMMON,
                "kind": "text",
                "removed_by": "ana",
                "act_occurred_at": "2026-03-01T17:30:00Z",
                "act_local_day": "2026-03-02",
            },
        ),
    ],
)
def test_a_fact_is_published(fact: Any, type_name: str, data: dict[str, Any]) -> None:
    recorded = Recorded("stream", 3, "0193a5b0-0000-7000-8000-000000000001", fact, fact.occurred_at, STORED_AT)
    message = publish(recorded)
    assert message is not None
    assert (message.type, message.key, message.subject) == (type_name, "bo", POST)
    assert msgspec.json.decode(msgspec.json.encode(message.data)) == data
