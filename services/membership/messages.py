"""The published language of membership: what other services and systems read on `membership.events`.

JSON Schemas and samples stand in `contracts/`. Once released, a message only ever gains optional fields.
"""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from shared.messaging.vocabulary import (
    Code,
    CommunityId,
    Currency,
    Id,
    LocalDay,
    OccurredAt,
    Organization,
    Person,
    RecordedAt,
    Zone,
)

Referral: TypeAlias = Annotated[
    Literal["none", "bound", "pending"],
    Meta(
        description="The person's referral binding in the organization after this join: none; bound (by this join or an "
        "earlier one) to `referrer`; or pending, to be settled by referral-bound or referral-absent of the same `join`."
    ),
]
Referrer: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, description="Who brought the person.")]
Role: TypeAlias = Annotated[str, Meta(description="owner, admin, member; more may come.")]
LandingUrl: TypeAlias = Annotated[str, Meta(description="Where short links of the community lead.")]


class Touchpoint(Struct, frozen=True, kw_only=True):
    """How somebody came."""

    layer: Literal["official", "owned", "touchpoint"]
    channel: Annotated[str, Meta(min_length=1, max_length=40)]
    scene: Literal["mass_gathering", "outdoor", "consumption", "mobile", "terminal_media", "word_of_mouth"]
    space: Literal["digital", "physical"]


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
    landing_url: LandingUrl | None = None


class CommunityLaunched(Struct, frozen=True, kw_only=True):
    """A community was opened by its owner. Key: the community."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay
    landing_url: LandingUrl | None = None


class InvitationCreated(Struct, frozen=True, kw_only=True):
    """A member made an invitation. Key: the inviter."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    invitation: Code
    inviter: Person
    max_uses: Annotated[int, Meta(ge=1, description="Joins at most; null: no limit.")] | None
    expires_at: Annotated[datetime, Meta(tz=True, description="UTC; null: never.")] | None
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
    join: Annotated[str, Meta(description="UUID of this join.")] | None = None
    invitation: Code | None = None
    share_code: Code | None = None
    inviter: Annotated[str, Meta(description="Owner of the invitation or share code, if known.")] | None = None
    touchpoint: Touchpoint | None = None
    referral: Referral = "none"
    referrer: Referrer | None = None


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


class RoleGranted(Struct, frozen=True, kw_only=True):
    """A member got a role. Key: the person."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    person: Person
    role: Role
    granted_by: Person
    roles: Annotated[list[str], Meta(description="All roles of the member after this.")]
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class RoleRevoked(Struct, frozen=True, kw_only=True):
    """A role was taken from a member. Key: the person."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    person: Person
    role: Role
    revoked_by: Person
    roles: Annotated[list[str], Meta(description="All roles of the member after this.")]
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class OwnershipTransferred(Struct, frozen=True, kw_only=True):
    """A community has another owner; both persons' roles change by facts of their own, committed with this one. Key:
    the community."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    previous_owner: Person
    owner: Person
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class ReferralBound(Struct, frozen=True, kw_only=True):
    """A pending referral is settled: the person is bound to a referrer. Key: the person."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    person: Person
    join: Annotated[Id, Meta(description="The join that was pending.")]
    referrer: Referrer
    joined_recorded_at: Annotated[
        datetime, Meta(tz=True, description="Database clock of that join: the binding holds since then, UTC.")
    ]
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class ReferralAbsent(Struct, frozen=True, kw_only=True):
    """A pending referral is settled: this join binds the person to nobody. Key: the person."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    person: Person
    join: Annotated[Id, Meta(description="The join that was pending.")]
    reason: Annotated[str, Meta(description="code-unknown, own-code, loop; more may come.")]
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


TYPES: dict[str, type[Struct]] = {
    "membership.community-founded.v1": CommunityFounded,
    "membership.community-launched.v1": CommunityLaunched,
    "membership.invitation-created.v1": InvitationCreated,
    "membership.member-joined.v1": MemberJoined,
    "membership.member-left.v1": MemberLeft,
    "membership.role-granted.v1": RoleGranted,
    "membership.role-revoked.v1": RoleRevoked,
    "membership.ownership-transferred.v1": OwnershipTransferred,
    "membership.referral-bound.v1": ReferralBound,
    "membership.referral-absent.v1": ReferralAbsent,
}
"""CloudEvents type to the shape of its value."""
