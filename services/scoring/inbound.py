"""What scoring reads of other services' messages: only the fields it uses."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import IntEnum
from typing import Annotated, ClassVar

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
    """Worth nothing to anybody."""

    kind: ClassVar[Kind]
    person: ClassVar[None] = None

    organization: Name
    community: Uuid
    zone: Name
    occurred_at: Instant
    recorded_at: Instant
    local_day: date


class CommunityFounded(CommunityFact, frozen=True, gc=False):
    kind: ClassVar = Kind.COMMUNITY_FOUNDED


class CommunityLaunched(CommunityFact, frozen=True, gc=False):
    kind: ClassVar = Kind.COMMUNITY_LAUNCHED


class MemberJoined(msgspec.Struct, frozen=True, gc=False):
    kind: ClassVar = Kind.MEMBER_JOINED

    organization: Name
    community: Uuid
    zone: Name
    person: Name
    first_in_community: bool
    occurred_at: Instant
    recorded_at: Instant
    local_day: date


class MemberLeft(msgspec.Struct, frozen=True, gc=False):
    kind: ClassVar = Kind.MEMBER_LEFT

    organization: Name
    community: Uuid
    zone: Name
    person: Name
    occurred_at: Instant
    recorded_at: Instant
    local_day: date


class PostPublished(msgspec.Struct, frozen=True, gc=False):
    kind: ClassVar = Kind.POST_PUBLISHED

    organization: Name
    community: Uuid
    zone: Name
    post: Uuid
    person: Name = msgspec.field(name="author")
    occurred_at: Instant
    recorded_at: Instant
    local_day: date


class PostRemoved(msgspec.Struct, frozen=True, gc=False):
    kind: ClassVar = Kind.POST_REMOVED

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
Message = PersonFact | CommunityFact

_READ_AS: Mapping[str, type[Message]] = {
    "membership.community-founded.v1": CommunityFounded,
    "membership.community-launched.v1": CommunityLaunched,
    "membership.member-joined.v1": MemberJoined,
    "membership.member-left.v1": MemberLeft,
    "content.post-published.v1": PostPublished,
    "content.post-removed.v1": PostRemoved,
}

TYPES = frozenset(_READ_AS)
"""The message types that are folded."""

TYPE_OF_KIND = {message.kind: type_name for type_name, message in _READ_AS.items()}

_DECODE: Mapping[str, Callable[[bytes], Message]] = {
    type_name: msgspec.json.Decoder(message).decode for type_name, message in _READ_AS.items()
}


def read(fact: InboundFact) -> Message:
    """The content of a message.

    Raises:
        Poison: the message is not of the shape that scoring needs.
    """
    try:
        return _DECODE[fact.type](fact.value)
    except msgspec.MsgspecError as error:
        raise Poison(fact, f"{fact.type} cannot be read: {error}") from error
