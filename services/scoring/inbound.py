"""What scoring reads of other services' messages: only the fields it uses."""

from datetime import date, datetime
from enum import IntEnum
from typing import Annotated

import msgspec

from shared.messaging.facts import InboundFact, Poison

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Uuid = Annotated[str, msgspec.Meta(min_length=36, max_length=36)]
"""A UUID as text. Strings hash much faster than `uuid.UUID`; the columns refuse what is not one."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class Kind(IntEnum):
    """Kinds of journal rows. The numbers are stored."""

    COMMUNITY_FOUNDED = 1
    COMMUNITY_LAUNCHED = 2
    MEMBER_JOINED = 3
    MEMBER_LEFT = 4
    POST_PUBLISHED = 5
    POST_REMOVED = 6


class CommunityFact(msgspec.Struct, frozen=True, gc=False):
    """A fact about a community, worth nothing to anybody."""

    organization: Name
    community: Uuid
    zone: Name
    occurred_at: Instant
    recorded_at: Instant
    local_day: date


class MemberJoined(msgspec.Struct, frozen=True, gc=False):
    organization: Name
    community: Uuid
    zone: Name
    person: Name
    first_in_community: bool
    occurred_at: Instant
    recorded_at: Instant
    local_day: date


class MemberLeft(msgspec.Struct, frozen=True, gc=False):
    organization: Name
    community: Uuid
    zone: Name
    person: Name
    occurred_at: Instant
    recorded_at: Instant
    local_day: date


class PostPublished(msgspec.Struct, frozen=True, gc=False):
    organization: Name
    community: Uuid
    zone: Name
    post: Uuid
    person: Name = msgspec.field(name="author")
    occurred_at: Instant
    recorded_at: Instant
    local_day: date


class PostRemoved(msgspec.Struct, frozen=True, gc=False):
    organization: Name
    community: Uuid
    zone: Name
    post: Uuid
    person: Name = msgspec.field(name="author")
    act_occurred_at: Instant
    act_local_day: date
    occurred_at: Instant
    recorded_at: Instant
    local_day: date


PersonFact = MemberJoined | MemberLeft | PostPublished | PostRemoved
Message = CommunityFact | PersonFact

_READERS: dict[str, tuple[Kind, msgspec.json.Decoder[Message]]] = {
    "membership.community-founded.v1": (Kind.COMMUNITY_FOUNDED, msgspec.json.Decoder(CommunityFact)),
    "membership.community-launched.v1": (Kind.COMMUNITY_LAUNCHED, msgspec.json.Decoder(CommunityFact)),
    "membership.member-joined.v1": (Kind.MEMBER_JOINED, msgspec.json.Decoder(MemberJoined)),
    "membership.member-left.v1": (Kind.MEMBER_LEFT, msgspec.json.Decoder(MemberLeft)),
    "content.post-published.v1": (Kind.POST_PUBLISHED, msgspec.json.Decoder(PostPublished)),
    "content.post-removed.v1": (Kind.POST_REMOVED, msgspec.json.Decoder(PostRemoved)),
}

TYPES = frozenset(_READERS)
"""The message types that are folded."""

TYPE_OF_KIND = {kind: type_name for type_name, (kind, _) in _READERS.items()}


def read(fact: InboundFact) -> tuple[Kind, Message]:
    """The kind and content of a message.

    Raises:
        Poison: the message is not of the shape that scoring needs.
    """
    kind, decoder = _READERS[fact.type]
    try:
        return kind, decoder.decode(fact.value)
    except msgspec.MsgspecError as error:
        raise Poison(fact, f"{fact.type} cannot be read: {error}") from error
