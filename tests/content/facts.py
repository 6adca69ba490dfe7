"""Facts and standings with literal values, for tests of content."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec

from services.content.events import (
    CommentAdded,
    CommentRemoved,
    ContentShared,
    Draft,
    PostEdited,
    PostHidden,
    PostPublished,
    PostRemoved,
    PostRestored,
    PostUnhidden,
    ReactionAdded,
    ReactionWithdrawn,
    ShareVisited,
)
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
    roles=("member",),
)
STRANGER = msgspec.structs.replace(MEMBER, roles=())
OWNER = msgspec.structs.replace(MEMBER, roles=("owner", "member"))
ADMIN = msgspec.structs.replace(MEMBER, roles=("admin", "member"))


def member(**changes: Any) -> Standing:
    return msgspec.structs.replace(MEMBER, **changes)


def draft(**changes: Any) -> Draft:
    return msgspec.structs.replace(DRAFT, **changes)


def published(**changes: Any) -> PostPublished:
    return msgspec.structs.replace(PUBLISHED, **changes)


HERE: dict[str, Any] = {
    "organization": "acme",
    "community": RUNNERS,
    "zone": "Asia/Shanghai",
    "currency": "CNY",
    "occurred_at": NOW,
    "local_day": TODAY,
}
ACT: dict[str, Any] = {"act_occurred_at": NOW, "act_local_day": TODAY}
OF_POST: dict[str, Any] = {**HERE, "post": POST, "author": "bo"}


def edited(draft: Draft, **changes: Any) -> PostEdited:
    return PostEdited(**{**OF_POST, "draft": draft, **changes})


def removed(removed_by: str = "bo", **changes: Any) -> PostRemoved:
    return PostRemoved(**{**OF_POST, **ACT, "kind": "text", "removed_by": removed_by, **changes})


def restored(restored_by: str = "bo", *, restores: bool = True) -> PostRestored:
    return PostRestored(**OF_POST, **ACT, kind="text", restored_by=restored_by, restores=restores)


def hidden(*, withdraws: bool = True) -> PostHidden:
    return PostHidden(**OF_POST, **ACT, kind="text", hidden_by="ana", withdraws=withdraws)


def unhidden(*, restores: bool = True) -> PostUnhidden:
    return PostUnhidden(**OF_POST, **ACT, kind="text", unhidden_by="ana", restores=restores)


COMMENT = "0193a5b2-0c11-7d0e-8a55-5a0b6a3a9c02"
REACTION = "0193a5b2-0c11-7d0e-8a55-5a0b6a3a9c04"
SHARE = "0193a5b2-0c11-7d0e-8a55-5a0b6a3a9c05"
CODE = "5R8T2W4Z"


def commented(**changes: Any) -> CommentAdded:
    """cy's comment on bo's post."""
    fields = {"comment": COMMENT, "post": POST, "post_author": "bo", "author": "cy", "floor": 1, "parent": None}
    return CommentAdded(**{**HERE, **fields, "body": "I do.", **changes})


def uncommented(removed_by: str = "cy") -> CommentRemoved:
    return CommentRemoved(**HERE, **ACT, comment=COMMENT, post=POST, author="cy", floor=1, removed_by=removed_by)


def reacted(**changes: Any) -> ReactionAdded:
    """cy likes bo's post."""
    fields = {"reaction": REACTION, "target_kind": "post", "target": POST, "target_author": "bo", "person": "cy"}
    return ReactionAdded(**{**HERE, **fields, "kind": "like", "counts": True, **changes})


def unreacted(**changes: Any) -> ReactionWithdrawn:
    added = msgspec.structs.asdict(reacted(**changes))
    return ReactionWithdrawn(**added, **ACT)


def shared(**changes: Any) -> ContentShared:
    """bo shares the post."""
    fields = {"share": SHARE, "code": CODE, "sharer": "bo", "target_kind": "post", "target": POST, "channel": "weibo"}
    return ContentShared(**{**HERE, **fields, "parent": None, **changes})


def visited(**changes: Any) -> ShareVisited:
    """cy opens bo's link."""
    fields = {"share": SHARE, "code": CODE, "sharer": "bo", "visitor": "cy", "crawler": None, "counts": True}
    return ShareVisited(**{**HERE, **fields, **changes})
