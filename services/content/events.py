"""The facts that content stores: private to this service, and never changed once stored."""

from datetime import date, datetime
from typing import TypeAlias

import msgspec

from shared.codec import Fact


class Draft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an author writes.

    Attributes:
        media: https URLs, in the order to show them.
        rating: 1 to 5; of a review, and of nothing else.
    """

    title: str | None
    body: str
    media: tuple[str, ...]
    topics: tuple[str, ...]
    rating: int | None = None


class InCommunity(Fact, frozen=True):
    """Base of what happens in a community.

    Attributes:
        zone, currency: of the community.
        local_day: of `occurred_at` in that zone; see `shared.moments`.
    """

    organization: str
    community: str
    zone: str
    currency: str
    occurred_at: datetime
    local_day: date


class PostPublished(InCommunity, frozen=True, tag="post-published.v1"):
    post: str
    author: str
    kind: str
    draft: Draft


class PostEdited(InCommunity, frozen=True, tag="post-edited.v1"):
    post: str
    author: str
    draft: Draft


class PostRemoved(InCommunity, frozen=True, tag="post-removed.v1"):
    """`withdraws`: the post stood until then. False: it was hidden already."""

    post: str
    author: str
    kind: str
    removed_by: str
    act_occurred_at: datetime
    act_local_day: date
    withdraws: bool = True


class PostRestored(InCommunity, frozen=True, tag="post-restored.v1"):
    """The removal was taken back. `restores`: the post stands again. False: it is still hidden."""

    post: str
    author: str
    kind: str
    restored_by: str
    act_occurred_at: datetime
    act_local_day: date
    restores: bool


class PostHidden(InCommunity, frozen=True, tag="post-hidden.v1"):
    """`withdraws`: the post stood until then. False: it was removed already."""

    post: str
    author: str
    kind: str
    hidden_by: str
    act_occurred_at: datetime
    act_local_day: date
    withdraws: bool


class PostUnhidden(InCommunity, frozen=True, tag="post-unhidden.v1"):
    """`restores`: the post stands again. False: it is still removed."""

    post: str
    author: str
    kind: str
    unhidden_by: str
    act_occurred_at: datetime
    act_local_day: date
    restores: bool


class FloorGiven(Fact, frozen=True, tag="floor-given.v1"):
    """A comment got the next number of its post."""

    post: str
    comment: str
    floor: int
    occurred_at: datetime


class CommentAdded(InCommunity, frozen=True, tag="comment-added.v1"):
    """`parent`: the comment it replies to."""

    comment: str
    post: str
    post_author: str
    author: str
    floor: int
    parent: str | None
    body: str


class CommentRemoved(InCommunity, frozen=True, tag="comment-removed.v1"):
    comment: str
    post: str
    author: str
    floor: int
    removed_by: str
    act_occurred_at: datetime
    act_local_day: date


class ReactionAdded(InCommunity, frozen=True, tag="reaction-added.v1"):
    """`counts`: False for a reaction to something of one's own."""

    reaction: str
    target_kind: str
    target: str
    target_author: str
    person: str
    kind: str
    counts: bool


class ReactionWithdrawn(InCommunity, frozen=True, tag="reaction-withdrawn.v1"):
    reaction: str
    target_kind: str
    target: str
    target_author: str
    person: str
    kind: str
    counts: bool
    act_occurred_at: datetime
    act_local_day: date


class ContentShared(InCommunity, frozen=True, tag="content-shared.v1"):
    """`parent`: the code of the share through which the sharer came."""

    share: str
    code: str
    sharer: str
    target_kind: str
    target: str
    channel: str
    parent: str | None


class ShareVisited(InCommunity, frozen=True, tag="share-visited.v1"):
    """Somebody opened a short link, for the first time that day.

    Attributes:
        visitor: the person, where known.
        crawler: what kind of program it was; None for a browser.
        counts: False for crawlers and for the sharer.
    """

    share: str
    code: str
    sharer: str
    visitor: str | None
    crawler: str | None
    counts: bool


PostFact: TypeAlias = PostPublished | PostEdited | PostRemoved | PostRestored | PostHidden | PostUnhidden
CommentFact: TypeAlias = CommentAdded | CommentRemoved
ReactionFact: TypeAlias = ReactionAdded | ReactionWithdrawn
