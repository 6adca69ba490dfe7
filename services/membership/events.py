"""The facts that membership stores: private to this service, and never changed once stored."""

from datetime import date, datetime
from typing import TypeAlias

import msgspec

from shared.codec import Fact


class Charter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a founder lays down.

    Attributes:
        affinity: what the members have in common.
        capacity: active members at most, the owner among them; None: no limit.
        entry: conditions of joining; all must hold.
        launch_base: members needed for the launch, the owner among them.
        probation_days: who leaves within so many days of joining leaves within probation.
    """

    name: str
    affinity: str
    purpose: str
    kind: str
    tags: tuple[str, ...]
    zone: str
    currency: str
    capacity: int | None
    entry: tuple[str, ...]
    launch_base: int
    probation_days: int


class CommunityFounded(Fact, frozen=True, tag="community-founded.v1"):
    organization: str
    community: str
    owner: str
    charter: Charter
    rulebook: str
    occurred_at: datetime
    local_day: date


class CommunityLaunched(Fact, frozen=True, tag="community-launched.v1"):
    organization: str
    community: str
    zone: str
    currency: str
    launched_by: str
    members: int
    occurred_at: datetime
    local_day: date


class MemberJoined(Fact, frozen=True, tag="member-joined.v1"):
    organization: str
    community: str
    community_status: str
    zone: str
    currency: str
    person: str
    roles: tuple[str, ...]
    first_in_community: bool
    accepted_rulebook: str
    occurred_at: datetime
    local_day: date


class MemberLeft(Fact, frozen=True, tag="member-left.v1"):
    organization: str
    community: str
    zone: str
    currency: str
    person: str
    joined_at: datetime
    first_in_community: bool
    within_probation: bool
    occurred_at: datetime
    local_day: date


class PlaceTaken(Fact, frozen=True, tag="place-taken.v1"):
    community: str
    person: str
    occurred_at: datetime


class PlaceFreed(Fact, frozen=True, tag="place-freed.v1"):
    community: str
    person: str
    occurred_at: datetime


CommunityFact: TypeAlias = CommunityFounded | CommunityLaunched
MemberFact: TypeAlias = MemberJoined | MemberLeft
PlaceFact: TypeAlias = PlaceTaken | PlaceFreed
