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
        landing_url: where short links and invitations of the community lead.
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
    landing_url: str | None = None


class Touchpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How somebody came."""

    layer: str
    channel: str
    scene: str
    space: str


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
    landing_url: str | None = None


class OwnershipTransferred(Fact, frozen=True, tag="ownership-transferred.v1"):
    organization: str
    community: str
    zone: str
    currency: str
    previous_owner: str
    owner: str
    occurred_at: datetime
    local_day: date


class MemberJoined(Fact, frozen=True, tag="member-joined.v1"):
    """Somebody joined or returned.

    Attributes:
        join: UUID of this join.
        inviter: owner of the invitation or share code, where known.
        referral: the person's binding in the organization after this join: `none`, `bound` (to `referrer`), `pending`.
    """

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
    join: str | None = None
    invitation: str | None = None
    share_code: str | None = None
    inviter: str | None = None
    touchpoint: Touchpoint | None = None
    referral: str = "none"
    referrer: str | None = None


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


class RoleGranted(Fact, frozen=True, tag="role-granted.v1"):
    """`roles`: all that the member has after this."""

    organization: str
    community: str
    zone: str
    currency: str
    person: str
    role: str
    granted_by: str
    roles: tuple[str, ...]
    occurred_at: datetime
    local_day: date


class RoleRevoked(Fact, frozen=True, tag="role-revoked.v1"):
    """`roles`: all that the member has after this."""

    organization: str
    community: str
    zone: str
    currency: str
    person: str
    role: str
    revoked_by: str
    roles: tuple[str, ...]
    occurred_at: datetime
    local_day: date


class InvitationCreated(Fact, frozen=True, tag="invitation-created.v1"):
    """`max_uses` and `expires_at` None: no limit."""

    organization: str
    community: str
    zone: str
    currency: str
    invitation: str
    inviter: str
    max_uses: int | None
    expires_at: datetime | None
    occurred_at: datetime
    local_day: date


class InvitationUsed(Fact, frozen=True, tag="invitation-used.v1"):
    """`uses`: how many there are with this one."""

    invitation: str
    person: str
    join: str
    uses: int
    occurred_at: datetime


class ReferrerTaken(Fact, frozen=True, tag="referrer-taken.v1"):
    """A person was bound by the join itself, whose fact says so."""

    organization: str
    person: str
    join: str
    referrer: str
    occurred_at: datetime


class ReferralDeferred(Fact, frozen=True, tag="referral-deferred.v1"):
    """A join whose share code is not known yet, or that came while another one waited.

    Attributes:
        inviter: where known; None: of `share_code`, or nobody.
        recorded_at: database clock of the join.
    """

    organization: str
    community: str
    zone: str
    currency: str
    person: str
    join: str
    inviter: str | None
    share_code: str | None
    recorded_at: datetime
    occurred_at: datetime


class ReferralBound(Fact, frozen=True, tag="referral-bound.v1"):
    """A deferred join bound the person. The binding holds since `joined_recorded_at`."""

    organization: str
    community: str
    zone: str
    currency: str
    person: str
    join: str
    referrer: str
    joined_recorded_at: datetime
    occurred_at: datetime
    local_day: date


class ReferralAbsent(Fact, frozen=True, tag="referral-absent.v1"):
    """A deferred join bound the person to nobody."""

    organization: str
    community: str
    zone: str
    currency: str
    person: str
    join: str
    reason: str
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


CommunityFact: TypeAlias = CommunityFounded | CommunityLaunched | OwnershipTransferred
MemberFact: TypeAlias = MemberJoined | MemberLeft | RoleGranted | RoleRevoked
InvitationFact: TypeAlias = InvitationCreated | InvitationUsed
ReferralFact: TypeAlias = ReferrerTaken | ReferralDeferred | ReferralBound | ReferralAbsent
PlaceFact: TypeAlias = PlaceTaken | PlaceFreed
