"""Facts and standings with literal values, for tests of content."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec

from services.content.events import Draft, PostEdited, PostPublished, PostRemoved
from services.content.standing import CommunityStatus, Standing

RUNNERS = "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10"
POST = "0193a5b1-0c11-7d0e-8a55-5a0b6a3a9c01"
NOW = datetime(2026, 3, 1, 17, 30, tzinfo=UTC)
TODAY = date(2026, 3, 2)  # in Shanghai

DRAFT = Draft(title="Six o'clock", body="Who runs tomorrow?", media=(), topics=("running",))

PUBLISHED = PostPublished(
    organization="acme",
    community=RUNNERS,
    zone="Asia/Shanghai",
    currency="CNY",
    post=POST,
    author="bo",
    kind="text",
    draft=DRAFT,
    occurred_at=NOW,
    local_day=TODAY,
)

MEMBER = Standing(
    organization="acme",
    community=RUNNERS,
    status=CommunityStatus.LAUNCHED,
    zone="Asia/Shanghai",
    currency="CNY",
    active=True,
    roles=("member",),
)
STRANGER = msgspec.structs.replace(MEMBER, active=False, roles=())
OWNER = msgspec.structs.replace(MEMBER, roles=("owner", "member"))


def member(**changes: Any) -> Standing:
    return msgspec.structs.replace(MEMBER, **changes)


def draft(**changes: Any) -> Draft:
    return msgspec.structs.replace(DRAFT, **changes)


def published(**changes: Any) -> PostPublished:
    return msgspec.structs.replace(PUBLISHED, **changes)


def edited(draft: Draft, **changes: Any) -> PostEdited:
    fact = PostEdited(
        organization="acme",
        community=RUNNERS,
        zone="Asia/Shanghai",
        currency="CNY",
        post=POST,
        author="bo",
        draft=draft,
        occurred_at=NOW,
        local_day=TODAY,
    )
    return msgspec.structs.replace(fact, **changes)


def removed(removed_by: str = "bo", **changes: Any) -> PostRemoved:
    fact = PostRemoved(
        organization="acme",
        community=RUNNERS,
        zone="Asia/Shanghai",
        currency="CNY",
        post=POST,
        author="bo",
        kind="text",
        removed_by=removed_by,
        act_occurred_at=NOW,
        act_local_day=TODAY,
        occurred_at=NOW,
        local_day=TODAY,
    )
    return msgspec.structs.replace(fact, **changes)
