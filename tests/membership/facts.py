"""Facts and commands with literal values, for tests of membership."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec

from services.membership.community import Community
from services.membership.events import (
    Charter,
    CommunityFounded,
    CommunityLaunched,
    InvitationCreated,
    InvitationUsed,
    MemberJoined,
    MemberLeft,
    OwnershipTransferred,
    ReferralAbsent,
    ReferralBound,
    ReferralDeferred,
    ReferrerTaken,
    RoleGranted,
    RoleRevoked,
)

RUNNERS = "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10"
JOIN = "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a20"
FOUNDED_AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
NOW = datetime(2026, 3, 1, 17, 30, tzinfo=UTC)
TODAY = date(2026, 3, 2)  # in Shanghai

CHARTER = Charter(
    name="Early risers",
    affinity="We run before work.",
    purpose="acquisition",
    kind="general",
    tags=("sport",),
    zone="Asia/Shanghai",
    currency="CNY",
    capacity=None,
    entry=("open",),
    launch_base=1,
    probation_days=7,
)

FOUNDED = CommunityFounded(
    organization="acme",
    community=RUNNERS,
    owner="ana",
    charter=CHARTER,
    rulebook="default",
    occurred_at=FOUNDED_AT,
    local_day=date(2026, 3, 1),
)

LAUNCHED = CommunityLaunched(
    organization="acme",
    community=RUNNERS,
    zone="Asia/Shanghai",
    currency="CNY",
    launched_by="ana",
    members=1,
    occurred_at=NOW,
    local_day=TODAY,
)

DRAFT = Community(founded=FOUNDED, owner="ana")
OPEN = Community(founded=FOUNDED, owner="ana", launched_at=NOW)


def charter(**changes: Any) -> Charter:
    return msgspec.structs.replace(CHARTER, **changes)


def joined(person: str = "bo", **changes: Any) -> MemberJoined:
    fact = MemberJoined(
        organization="acme",
        community=RUNNERS,
        community_status="launched",
        zone="Asia/Shanghai",
        currency="CNY",
        person=person,
        roles=("member",),
        first_in_community=True,
        accepted_rulebook="default",
        occurred_at=NOW,
        local_day=TODAY,
        join=JOIN,
    )
    return msgspec.structs.replace(fact, **changes)


def left(person: str = "bo", **changes: Any) -> MemberLeft:
    fact = MemberLeft(
        organization="acme",
        community=RUNNERS,
        zone="Asia/Shanghai",
        currency="CNY",
        person=person,
        joined_at=NOW,
        first_in_community=True,
        within_probation=True,
        occurred_at=NOW,
        local_day=TODAY,
    )
    return msgspec.structs.replace(fact, **changes)


_HERE: dict[str, Any] = {"organization": "acme", "community": RUNNERS, "zone": "Asia/Shanghai", "currency": "CNY"}
_NOW: dict[str, Any] = {"occurred_at": NOW, "local_day": TODAY}

TRANSFERRED = OwnershipTransferred(**_HERE, previous_owner="ana", owner="bo", **_NOW)
CODE = "7H3K9QWX"


def granted(person: str, role: str, *roles: str, by: str = "ana") -> RoleGranted:
    return RoleGranted(**_HERE, person=person, role=role, granted_by=by, roles=roles, **_NOW)


def revoked(person: str, role: str, *roles: str, by: str = "ana") -> RoleRevoked:
    return RoleRevoked(**_HERE, person=person, role=role, revoked_by=by, roles=roles, **_NOW)


def created(**changes: Any) -> InvitationCreated:
    fact = InvitationCreated(**_HERE, invitation=CODE, inviter="ana", max_uses=None, expires_at=None, **_NOW)
    return msgspec.structs.replace(fact, **changes)


def used(person: str, uses: int) -> InvitationUsed:
    return InvitationUsed(invitation=CODE, person=person, join=JOIN, uses=uses, occurred_at=NOW)


def taken(referrer: str) -> ReferrerTaken:
    return ReferrerTaken(organization="acme", person="bo", join=JOIN, referrer=referrer, occurred_at=NOW)


def deferred(join: str = JOIN, *, inviter: str | None = None, share_code: str | None = None) -> ReferralDeferred:
    return ReferralDeferred(
        **_HERE,
        person="bo",
        join=join,
        inviter=inviter,
        share_code=share_code,
        recorded_at=NOW,
        occurred_at=NOW,
    )


def bound(referrer: str, join: str = JOIN, **changes: Any) -> ReferralBound:
    fact = ReferralBound(**_HERE, person="bo", join=join, referrer=referrer, joined_recorded_at=NOW, **_NOW)
    return msgspec.structs.replace(fact, **changes)


def absent(reason: str, join: str = JOIN, **changes: Any) -> ReferralAbsent:
    return msgspec.structs.replace(ReferralAbsent(**_HERE, person="bo", join=join, reason=reason, **_NOW), **changes)
