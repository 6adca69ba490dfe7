"""Facts and commands with literal values, for tests of membership."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec

from services.membership.community import Community
from services.membership.events import Charter, CommunityFounded, CommunityLaunched, MemberJoined, MemberLeft

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
