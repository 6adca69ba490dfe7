"""The published language of content: what other services and systems read on `content.events`.

JSON Schemas and samples stand in `contracts/`. Once released, a message only ever gains optional fields. No message
carries what somebody wrote.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from shared.messaging.vocabulary import (
    ActLocalDay,
    ActOccurredAt,
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

PostId: TypeAlias = Annotated[str, Meta(description="UUID, version 7.")]
PostKind: TypeAlias = Annotated[
    str, Meta(description="text, image, link, video, question, review, announcement; more may come.")
]
ReactionKind: TypeAlias = Annotated[str, Meta(description="like, love, laugh, insightful, thanks; more may come.")]
Floor: TypeAlias = Annotated[int, Meta(ge=1, description="Number of the comment on its post: 1, 2, 3 … without gaps.")]
ShareTarget: TypeAlias = Literal["post", "product", "campaign", "community"]


class PostPublished(Struct, frozen=True, kw_only=True):
    """A member published a post. Key: the author."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    post: PostId
    author: Person
    kind: PostKind
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class PostEdited(Struct, frozen=True, kw_only=True):
    """The author changed a post. Key: the author."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    post: PostId
    author: Person
    version: Annotated[int, Meta(ge=2, description="The post's version after the change, as in its ETag.")]
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class PostRemoved(Struct, frozen=True, kw_only=True):
    """A post was withdrawn; it carries all that is needed to take its effects back. Key: the author.

    Per post, withdrawn and restored come strictly in turn: a post that is hidden and then removed is withdrawn once.
    """

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    post: PostId
    author: Person
    kind: PostKind
    removed_by: Person
    act_occurred_at: ActOccurredAt
    act_local_day: ActLocalDay
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class PostRestored(Struct, frozen=True, kw_only=True):
    """A withdrawn post stands again. Key: the author."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    post: PostId
    author: Person
    kind: PostKind
    restored_by: Person
    act_occurred_at: ActOccurredAt
    act_local_day: ActLocalDay
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class CommentAdded(Struct, frozen=True, kw_only=True):
    """A member commented on a post. Key: the author."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    comment: Id
    post: PostId
    post_author: Person
    author: Person
    floor: Floor
    parent: Annotated[str, Meta(description="The comment that this one replies to.")] | None
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class CommentRemoved(Struct, frozen=True, kw_only=True):
    """A comment was withdrawn; its floor is never used again. Key: the author."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    comment: Id
    post: PostId
    author: Person
    floor: Floor
    removed_by: Person
    act_occurred_at: ActOccurredAt
    act_local_day: ActLocalDay
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class ReactionAdded(Struct, frozen=True, kw_only=True):
    """A member reacted to a post or a comment. Key: the member."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    reaction: Id
    target_kind: Literal["post", "comment"]
    target: Id
    target_author: Person
    person: Person
    kind: ReactionKind
    counts: Annotated[bool, Meta(description="False for a reaction to something of one's own: it has no effect.")]
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class ReactionWithdrawn(Struct, frozen=True, kw_only=True):
    """A reaction was taken back. Key: the member."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    reaction: Id
    target_kind: Literal["post", "comment"]
    target: Id
    target_author: Person
    person: Person
    kind: ReactionKind
    counts: Annotated[bool, Meta(description="Whether the reaction had an effect.")]
    act_occurred_at: ActOccurredAt
    act_local_day: ActLocalDay
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class ContentShared(Struct, frozen=True, kw_only=True):
    """A member shared something to a channel, and got a code for it. Key: the sharer."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    share: Id
    code: Code
    sharer: Person
    target_kind: ShareTarget
    target: Annotated[str, Meta(min_length=1, max_length=64, description="Id of what was shared.")]
    channel: Annotated[str, Meta(min_length=1, max_length=40)]
    parent: Annotated[str, Meta(description="Code of the share through which the sharer came.")] | None
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


class ShareVisited(Struct, frozen=True, kw_only=True):
    """Somebody opened a short link; once per share, visitor and local day. Key: the sharer."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    share: Id
    code: Code
    sharer: Person
    visitor: Annotated[str, Meta(description="Person id, where known.")] | None
    counts: Annotated[bool, Meta(description="False for bots and the sharer's own visits.")]
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


TYPES: dict[str, type[Struct]] = {
    "content.post-published.v1": PostPublished,
    "content.post-edited.v1": PostEdited,
    "content.post-removed.v1": PostRemoved,
    "content.post-restored.v1": PostRestored,
    "content.comment-added.v1": CommentAdded,
    "content.comment-removed.v1": CommentRemoved,
    "content.reaction-added.v1": ReactionAdded,
    "content.reaction-withdrawn.v1": ReactionWithdrawn,
    "content.content-shared.v1": ContentShared,
    "content.share-visited.v1": ShareVisited,
}
"""CloudEvents type to the shape of its value."""
