"""The published language of membership: what other services and systems read on `membership.events`.

JSON Schemas and samples stand in `contracts/`. Once released, a message only ever gains optional fields.
"""

from datetime import date, datetime
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

Organization: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, description="Owner of the community.")]
CommunityId: TypeAlias = Annotated[str, Meta(description="UUID, version 7.")]
Person: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, description="Person id, as in the token's sub.")]
Zone: TypeAlias = Annotated[str, Meta(description="IANA time zone of the community.")]
Currency: TypeAlias = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217 code.")]
OccurredAt: TypeAlias = Annotated[datetime, Meta(tz=True, description="When it happened, UTC.")]
RecordedAt: TypeAlias = Annotated[datetime, Meta(tz=True, description="Database clock when it was stored, UTC.")]
LocalDay: TypeAlias = Annotated[date, Meta(description="Calendar date of the act in the community's zone.")]


class CommunityFounded(Struct, frozen=True, kw_only=True):
    """A community was founded, as a draft. Key: the community."""

    organization: Organization
    community: CommunityId
    owner: Person
    kind: str
    zone: Zone
    currency: Currency
    capacity: Annotated[int, Meta(ge=1, description="Active members at most; null: no limit.")] | None
    entry: list[str]
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class CommunityLaunched(Struct, frozen=True, kw_only=True):
    """A community was opened by its owner. Key: the community."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class MemberJoined(Struct, frozen=True, kw_only=True):
    """A person joined a community, or returned to it. Key: the person."""

    organization: Organization
    community: CommunityId
    community_status: Literal["draft", "launched"]
    zone: Zone
    currency: Currency
    person: Person
    roles: list[str]
    first_in_community: Annotated[bool, Meta(description="False for somebody who returns.")]
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class MemberLeft(Struct, frozen=True, kw_only=True):
    """A person left a community. Key: the person."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    person: Person
    within_probation: Annotated[bool, Meta(description="Left so soon that invitation rewards are taken back.")]
    joined_at: Annotated[datetime, Meta(tz=True, description="When this membership began, UTC.")]
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


TYPES: dict[str, type[Struct]] = {
    "membership.community-founded.v1": CommunityFounded,
    "membership.community-launched.v1": CommunityLaunched,
    "membership.member-joined.v1": MemberJoined,
    "membership.member-left.v1": MemberLeft,
}
"""CloudEvents type to the shape of its value."""
