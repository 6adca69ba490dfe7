"""Membership's messages as content hears them, for tests."""

from collections.abc import Sequence
from typing import Any

import msgspec

from shared.messaging.facts import InboundFact, LaneFacts
from shared.partitioning import partition_of
from tests.content.facts import RUNNERS

LANES = 12


def message(name: str, key: str, **data: Any) -> InboundFact:
    """One record of `membership.events`."""
    lane = partition_of(key, LANES)
    return InboundFact(
        topic="membership.events",
        partition=lane,
        offset=0,
        key=key,
        type=f"membership.{name}.v1",
        event_id="0193a5b0-0000-7000-8000-000000000001",
        position="1-1-1",
        traceparent=None,
        value=msgspec.json.encode(data),
    )


def of_community(
    name: str, *, organization: str = "acme", community: str = RUNNERS, landing_url: str | None = None
) -> InboundFact:
    """`community-founded` or `community-launched`."""
    return message(
        name,
        community,
        organization=organization,
        community=community,
        zone="Asia/Shanghai",
        currency="CNY",
        landing_url=landing_url,
    )


def joined(
    person: str,
    *roles: str,
    status: str = "launched",
    organization: str = "acme",
    community: str = RUNNERS,
) -> InboundFact:
    return message(
        "member-joined",
        person,
        organization=organization,
        community=community,
        community_status=status,
        zone="Asia/Shanghai",
        currency="CNY",
        person=person,
        roles=roles or ("member",),
        first_in_community=True,
    )


def left(person: str, *, community: str = RUNNERS) -> InboundFact:
    return message("member-left", person, community=community, person=person, within_probation=True)


def granted(person: str, role: str, *roles: str, community: str = RUNNERS) -> InboundFact:
    """`roles`: all that the person has then."""
    return message("role-granted", person, community=community, person=person, role=role, roles=roles)


def revoked(person: str, role: str, *roles: str, community: str = RUNNERS) -> InboundFact:
    """`roles`: all that the person has then."""
    return message("role-revoked", person, community=community, person=person, role=role, roles=roles)


def in_lanes(facts: Sequence[InboundFact]) -> list[LaneFacts]:
    """The facts by lane, each lane in the order given."""
    lanes: dict[int, LaneFacts] = {}
    for fact in facts:
        lanes.setdefault(fact.partition, LaneFacts(fact.partition, [])).facts.append(fact)
    return [lanes[lane] for lane in sorted(lanes)]
