"""The facts that content stores: private to this service, and never changed once stored."""

from datetime import date, datetime
from typing import TypeAlias

import msgspec

from shared.codec import Fact


class Draft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an author writes.

    Attributes:
        media: https URLs, in the order to show them.
    """

    title: str | None
    body: str
    media: tuple[str, ...]
    topics: tuple[str, ...]


class PostPublished(Fact, frozen=True, tag="post-published.v1"):
    organization: str
    community: str
    zone: str
    currency: str
    post: str
    author: str
    kind: str
    draft: Draft
    occurred_at: datetime
    local_day: date


class PostEdited(Fact, frozen=True, tag="post-edited.v1"):
    organization: str
    community: str
    zone: str
    currency: str
    post: str
    author: str
    draft: Draft
    occurred_at: datetime
    local_day: date


class PostRemoved(Fact, frozen=True, tag="post-removed.v1"):
    organization: str
    community: str
    zone: str
    currency: str
    post: str
    author: str
    kind: str
    removed_by: str
    act_occurred_at: datetime
    act_local_day: date
    occurred_at: datetime
    local_day: date


PostFact: TypeAlias = PostPublished | PostEdited | PostRemoved
