"""Facts as other services publish them, for tests of scoring."""

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from uuid_utils import uuid7

from shared.messaging.facts import InboundFact
from shared.partitioning import partition_of

LANES = 3
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Story:
    """Makes facts, each with an id and a place of its own.

    Args:
        lanes: partitions of every topic.
    """

    def __init__(self, *, lanes: int = LANES, zone: str = "UTC", organization: str = "acme") -> None:
        self.lanes = lanes
        self.zone = zone
        self.organization = organization
        self._offsets: Iterator[int] = itertools.count(1)

    def community(self) -> str:
        return str(uuid7())

    def joined(
        self, person: str, community: str, /, *, first: bool = True, at: datetime = NOON, **other: Any
    ) -> InboundFact:
        own = {"person": person, "first_in_community": first, "roles": ["member"], "community_status": "launched"}
        return self._fact("membership.member-joined.v1", person, community, at, own | other)

    def left(self, person: str, community: str, /, *, at: datetime = NOON, **other: Any) -> InboundFact:
        own = {"person": person, "within_probation": False, "joined_at": at}
        return self._fact("membership.member-left.v1", person, community, at, own | other)

    def founded(self, community: str, *, owner: str = "owner", at: datetime = NOON, **other: Any) -> InboundFact:
        own = {"owner": owner, "kind": "general", "entry": ["open"]}
        return self._fact("membership.community-founded.v1", community, community, at, own | other)

    def published(
        self, person: str, community: str, /, *, post: str | None = None, at: datetime = NOON, **other: Any
    ) -> InboundFact:
        own = {"author": person, "post": post or str(uuid7()), "kind": "text"}
        return self._fact("content.post-published.v1", person, community, at, own | other)

    def removed(self, published: InboundFact, *, at: datetime | None = None, **other: Any) -> InboundFact:
        """The removal of a published post; a minute later, unless said otherwise."""
        act = msgspec.json.decode(published.value)
        acted_at = datetime.fromisoformat(act["occurred_at"])
        own = {
            "author": act["author"],
            "post": act["post"],
            "kind": act["kind"],
            "removed_by": act["author"],
            "act_occurred_at": act["occurred_at"],
            "act_local_day": act["local_day"],
        }
        at = at or acted_at + timedelta(minutes=1)
        return self._fact("content.post-removed.v1", act["author"], act["community"], at, own | other)

    def _fact(self, type: str, key: str, community: str, at: datetime, own: dict[str, Any]) -> InboundFact:
        offset = next(self._offsets)
        data = {
            "organization": self.organization,
            "community": community,
            "zone": self.zone,
            "currency": "CNY",
            "occurred_at": at,
            "recorded_at": at,
            "local_day": self.day_of(at),
        }
        return InboundFact(
            topic=f"{type.partition('.')[0]}.events",
            partition=partition_of(key, self.lanes),
            offset=offset,
            key=key,
            type=type,
            event_id=str(uuid7()),
            position=f"1-{offset}-{offset}",
            traceparent=None,
            value=msgspec.json.encode(data | own),
        )

    def day_of(self, at: datetime) -> date:
        return at.astimezone(ZoneInfo(self.zone)).date()
