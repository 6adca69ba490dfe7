"""Facts as other services publish them, for tests of scoring."""

import itertools
from collections import Counter
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
        self._refunded: Counter[str] = Counter()

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
        """The removal of a published post; a minute later, unless said otherwise. So the others below."""
        act = _data(published)
        own = {"author": act["author"], "post": act["post"], "kind": act["kind"], "removed_by": act["author"]}
        return self._later("content.post-removed.v1", published, at, own | other)

    def restored(self, published: InboundFact, *, at: datetime | None = None, **other: Any) -> InboundFact:
        """A published post that was removed stands again."""
        act = _data(published)
        own = {"author": act["author"], "post": act["post"], "kind": act["kind"], "restored_by": act["author"]}
        return self._later("content.post-restored.v1", published, at, own | other)

    def commented(
        self, person: str, community: str, /, *, comment: str | None = None, at: datetime = NOON, **other: Any
    ) -> InboundFact:
        own = {
            "comment": comment or str(uuid7()),
            "post": str(uuid7()),
            "post_author": "somebody",
            "author": person,
            "floor": 1,
            "parent": None,
        }
        return self._fact("content.comment-added.v1", person, community, at, own | other)

    def comment_removed(self, commented: InboundFact, *, at: datetime | None = None, **other: Any) -> InboundFact:
        act = _data(commented)
        own = {name: act[name] for name in ("comment", "post", "author", "floor")} | {"removed_by": act["author"]}
        return self._later("content.comment-removed.v1", commented, at, own | other)

    def reacted(
        self,
        person: str,
        community: str,
        /,
        *,
        reaction: str | None = None,
        counts: bool = True,
        at: datetime = NOON,
        **other: Any,
    ) -> InboundFact:
        own = {
            "reaction": reaction or str(uuid7()),
            "target_kind": "post",
            "target": str(uuid7()),
            "target_author": "somebody" if counts else person,
            "person": person,
            "kind": "like",
            "counts": counts,
        }
        return self._fact("content.reaction-added.v1", person, community, at, own | other)

    def reaction_withdrawn(self, reacted: InboundFact, *, at: datetime | None = None, **other: Any) -> InboundFact:
        act = _data(reacted)
        names = ("reaction", "target_kind", "target", "target_author", "person", "kind", "counts")
        own = {name: act[name] for name in names}
        return self._later("content.reaction-withdrawn.v1", reacted, at, own | other)

    def shared(
        self, person: str, community: str, /, *, share: str | None = None, at: datetime = NOON, **other: Any
    ) -> InboundFact:
        own = {
            "share": share or str(uuid7()),
            "code": "ABCD2345",
            "sharer": person,
            "target_kind": "community",
            "target": community,
            "channel": "wechat",
            "parent": None,
        }
        return self._fact("content.content-shared.v1", person, community, at, own | other)

    def bought(
        self,
        buyer: str,
        community: str,
        /,
        paid: int,
        *,
        commissionable: int | None = None,
        purchase: str | None = None,
        at: datetime = NOON,
        **other: Any,
    ) -> InboundFact:
        """A purchase; all that was paid is commissionable, unless said otherwise."""
        purchase = purchase or str(uuid7())
        own = {
            "purchase": purchase,
            "order_id": f"order {purchase}",
            "buyer": buyer,
            "lines": [],
            "paid_minor": paid,
            "commissionable_minor": paid if commissionable is None else commissionable,
            "share_code": None,
            "campaign": None,
        }
        return self._fact("campaigns.purchase-recorded.v1", buyer, community, at, own | other)

    def attributed(
        self, bought: InboundFact, /, *chain: str | None, at: datetime | None = None, **other: Any
    ) -> InboundFact:
        """The chain of a purchase: who stands at level 1, 2; None for a level where nobody does."""
        links = [
            {"level": level, "person": person, "by": "binding"}
            for level, person in enumerate(chain, start=1)
            if person is not None
        ]
        own = _purchase(bought) | {"chain": links}
        return self._later("campaigns.purchase-attributed.v1", bought, at, own | other)

    def refunded(
        self,
        bought: InboundFact,
        /,
        amount: int,
        *,
        refund: str | None = None,
        at: datetime | None = None,
        **other: Any,
    ) -> InboundFact:
        """A refund of so much; the story knows what was paid back before."""
        purchase = _purchase(bought)
        self._refunded[purchase["purchase"]] += amount
        refund = refund or str(uuid7())
        own = purchase | {
            "refund": refund,
            "refund_id": f"refund {refund}",
            "amount_minor": amount,
            "refunded_minor": self._refunded[purchase["purchase"]],
        }
        return self._later("campaigns.purchase-refunded.v1", bought, at, own | other)

    def _later(self, type: str, original: InboundFact, at: datetime | None, own: dict[str, Any]) -> InboundFact:
        """A fact about an earlier act."""
        act = _data(original)
        acted = {"act_occurred_at": act["occurred_at"], "act_local_day": act["local_day"]}
        at = at or datetime.fromisoformat(act["occurred_at"]) + timedelta(minutes=1)
        return self._fact(type, original.key, act["community"], at, acted | own)

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
            partition=self.partition_of(key),
            offset=offset,
            key=key,
            type=type,
            event_id=str(uuid7()),
            position=f"1-{offset}-{offset}",
            traceparent=None,
            value=msgspec.json.encode(data | own),
        )

    def partition_of(self, key: str) -> int:
        return partition_of(key, self.lanes)

    def day_of(self, at: datetime) -> date:
        return at.astimezone(ZoneInfo(self.zone)).date()


def _data(fact: InboundFact) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.json.decode(fact.value)
    return data


def _purchase(bought: InboundFact) -> dict[str, Any]:
    act = _data(bought)
    return {name: act[name] for name in ("purchase", "order_id", "buyer", "paid_minor", "commissionable_minor")}
