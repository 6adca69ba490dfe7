"""The published language of content: what other services and systems read on `content.events`.

JSON Schemas and samples stand in `contracts/`. Once released, a message only ever gains optional fields. No message
carries what somebody wrote.
"""

from datetime import date, datetime
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

Organization: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, description="Owner of the community.")]
CommunityId: TypeAlias = Annotated[str, Meta(description="UUID, version 7.")]
PostId: TypeAlias = Annotated[str, Meta(description="UUID, version 7.")]
Person: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, description="Person id, as in the token's sub.")]
Kind: TypeAlias = Annotated[str, Meta(description="text, question, image, link, video; more may come.")]
Zone: TypeAlias = Annotated[str, Meta(description="IANA time zone of the community.")]
Currency: TypeAlias = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217 code.")]
OccurredAt: TypeAlias = Annotated[datetime, Meta(tz=True, description="When it happened, UTC.")]
RecordedAt: TypeAlias = Annotated[datetime, Meta(tz=True, description="Database clock when it was stored, UTC.")]
LocalDay: TypeAlias = Annotated[date, Meta(description="Calendar date of the act in the community's zone.")]


class PostPublished(Struct, frozen=True, kw_only=True):
    """A member published a post. Key: the author."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    post: PostId
    author: Person
    kind: Kind
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
    """A post was taken back; it carries all that is needed to take its effects back. Key: the author."""

    organization: Organization
    community: CommunityId
    zone: Zone
    currency: Currency
    post: PostId
    author: Person
    kind: Kind
    removed_by: Person
    act_occurred_at: Annotated[datetime, Meta(tz=True, description="When the post was published, UTC.")]
    act_local_day: Annotated[date, Meta(description="Local day of the publication.")]
    occurred_at: OccurredAt
    recorded_at: RecordedAt
    local_day: LocalDay


TYPES: dict[str, type[Struct]] = {
    "content.post-published.v1": PostPublished,
    "content.post-edited.v1": PostEdited,
    "content.post-removed.v1": PostRemoved,
}
"""CloudEvents type to the shape of its value."""
