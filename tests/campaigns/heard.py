"""Other services' messages as campaigns hears them, made from the classes that their owners publish."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from services.content import messages as content
from services.membership import messages as membership
from shared.messaging.facts import InboundFact, LaneFacts
from shared.partitioning import partition_of
from tests.campaigns.facts import NOW, RUNNERS, TODAY

LANES = 12
COMMON: dict[str, Any] = {
    "organization": "acme",
    "community": RUNNERS,
    "zone": "Asia/Shanghai",
    "currency": "CNY",
    "occurred_at": NOW,
    "recorded_at": NOW,
    "local_day": TODAY,
}


def fact(topic: str, type_name: str, key: str, data: msgspec.Struct) -> InboundFact:
    """One record of a topic."""
    return InboundFact(
        topic=topic,
        partition=partition_of(key, LANES),
        offset=0,
        key=key,
        type=type_name,
        event_id="0193a5b0-0000-7000-8000-000000000001",
        position="1-1-1",
        traceparent=None,
        value=msgspec.json.encode(data),
    )


def join_id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))


def founded(*, community: str = RUNNERS, **changes: Any) -> InboundFact:
    data = {**COMMON, "community": community, **changes}
    message = membership.CommunityFounded(owner="ana", kind="general", capacity=None, entry=["open"], **data)
    return fact("membership.events", "membership.community-founded.v1", community, message)


def launched(*, community: str = RUNNERS, **changes: Any) -> InboundFact:
    message = membership.CommunityLaunched(**{**COMMON, "community": community, **changes})
    return fact("membership.events", "membership.community-launched.v1", community, message)


def joined(person: str, referrer: str | None = None, *, pending: str | None = None, **changes: Any) -> InboundFact:
    """A join: bound to `referrer`, or pending under the name `pending`, or neither."""
    referral = "pending" if pending is not None else "none" if referrer is None else "bound"
    data = {**COMMON, "join": join_id(pending or person), "referral": referral, "referrer": referrer, **changes}
    message = membership.MemberJoined(
        community_status="launched", person=person, roles=["member"], first_in_community=True, **data
    )
    return fact("membership.events", "membership.member-joined.v1", person, message)


def bound(person: str, pending: str, referrer: str, *, since: datetime, **changes: Any) -> InboundFact:
    """The pending join of that name, recorded at `since`, is settled: `person` is bound."""
    data = {**COMMON, "recorded_at": since + timedelta(hours=1), **changes}
    message = membership.ReferralBound(
        person=person, join=join_id(pending), referrer=referrer, joined_recorded_at=since, **data
    )
    return fact("membership.events", "membership.referral-bound.v1", person, message)


def absent(person: str, pending: str, **changes: Any) -> InboundFact:
    """The pending join of that name is settled: it binds `person` to nobody."""
    message = membership.ReferralAbsent(
        person=person, join=join_id(pending), reason="code-unknown", **{**COMMON, **changes}
    )
    return fact("membership.events", "membership.referral-absent.v1", person, message)


def shared(sharer: str, code: str, **changes: Any) -> InboundFact:
    message = content.ContentShared(
        share=join_id(code),
        code=code,
        sharer=sharer,
        target_kind="community",
        target=RUNNERS,
        channel="wechat",
        parent=None,
        **{**COMMON, **changes},
    )
    return fact("content.events", "content.content-shared.v1", sharer, message)


def in_lanes(facts: Sequence[InboundFact]) -> list[LaneFacts]:
    """The facts by lane, each lane in the order given."""
    lanes: dict[int, LaneFacts] = {}
    for each in facts:
        lanes.setdefault(each.partition, LaneFacts(each.partition, [])).facts.append(each)
    return [lanes[lane] for lane in sorted(lanes)]
