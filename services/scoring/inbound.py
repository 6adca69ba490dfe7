"""What scoring reads of other services' messages: only the fields it uses."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import IntEnum
from typing import Annotated, Any, ClassVar

import msgspec

from services.scoring.ruleset import Act
from shared.messaging.facts import InboundFact, Poison

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Uuid = Annotated[str, msgspec.Meta(min_length=36, max_length=36)]
"""A UUID as text. Strings hash much faster than `uuid.UUID`; the columns refuse what is not one."""

ComparedUuid = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", max_length=36)]
"""A UUID as text in the one form that it may have, where facts are found to belong together by it."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Money = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
"""Minor units."""


class Kind(IntEnum):
    """Kinds of journal rows. The numbers are stored."""

    COMMUNITY_FOUNDED = 1
    COMMUNITY_LAUNCHED = 2
    MEMBER_JOINED = 3
    MEMBER_LEFT = 4
    POST_PUBLISHED = 5
    POST_REMOVED = 6
    POST_RESTORED = 7
    COMMENT_ADDED = 8
    COMMENT_REMOVED = 9
    REACTION_ADDED = 10
    REACTION_WITHDRAWN = 11
    CONTENT_SHARED = 12
    PURCHASE_RECORDED = 13
    PURCHASE_ATTRIBUTED = 14
    PURCHASE_REFUNDED = 15


class _Fact(msgspec.Struct, frozen=True, gc=False):
    kind: ClassVar[Kind]

    organization: Name
    community: Uuid
    zone: Name
    occurred_at: Instant
    recorded_at: Instant
    local_day: date


class CommunityFact(_Fact, frozen=True, gc=False):
    """Worth nothing to anybody."""

    person: ClassVar[None] = None


class CommunityFounded(CommunityFact, frozen=True, gc=False):
    kind: ClassVar = Kind.COMMUNITY_FOUNDED


class CommunityLaunched(CommunityFact, frozen=True, gc=False):
    kind: ClassVar = Kind.COMMUNITY_LAUNCHED


class Undone(CommunityFact, frozen=True, gc=False):
    """What was journaled and is void: a restore of its publisher's database has undone it."""


class _Later(_Fact, frozen=True, gc=False):
    """About an earlier act."""

    act_occurred_at: Instant
    act_local_day: date


class MemberJoined(_Fact, frozen=True, gc=False):
    kind: ClassVar = Kind.MEMBER_JOINED

    person: Name
    first_in_community: bool


class MemberLeft(_Fact, frozen=True, gc=False):
    kind: ClassVar = Kind.MEMBER_LEFT

    person: Name


class PostPublished(_Fact, frozen=True, gc=False):
    kind: ClassVar = Kind.POST_PUBLISHED
    act: ClassVar = Act.POST_PUBLISHED

    person: Name = msgspec.field(name="author")
    act_id: Uuid = msgspec.field(name="post")


class PostRemoved(_Later, frozen=True, gc=False):
    kind: ClassVar = Kind.POST_REMOVED
    act: ClassVar = Act.POST_PUBLISHED

    person: Name = msgspec.field(name="author")
    act_id: Uuid = msgspec.field(name="post")


class PostRestored(_Later, frozen=True, gc=False):
    kind: ClassVar = Kind.POST_RESTORED
    act: ClassVar = Act.POST_PUBLISHED

    person: Name = msgspec.field(name="author")
    act_id: Uuid = msgspec.field(name="post")


class CommentAdded(_Fact, frozen=True, gc=False):
    kind: ClassVar = Kind.COMMENT_ADDED
    act: ClassVar = Act.COMMENT_ADDED

    person: Name = msgspec.field(name="author")
    act_id: Uuid = msgspec.field(name="comment")


class CommentRemoved(_Later, frozen=True, gc=False):
    kind: ClassVar = Kind.COMMENT_REMOVED
    act: ClassVar = Act.COMMENT_ADDED

    person: Name = msgspec.field(name="author")
    act_id: Uuid = msgspec.field(name="comment")


class ReactionAdded(_Fact, frozen=True, gc=False):
    kind: ClassVar = Kind.REACTION_ADDED
    act: ClassVar = Act.REACTION_ADDED

    person: Name
    counts: bool
    act_id: Uuid = msgspec.field(name="reaction")


class ReactionWithdrawn(_Later, frozen=True, gc=False):
    kind: ClassVar = Kind.REACTION_WITHDRAWN
    act: ClassVar = Act.REACTION_ADDED

    person: Name
    counts: bool
    act_id: Uuid = msgspec.field(name="reaction")


class ContentShared(_Fact, frozen=True, gc=False):
    kind: ClassVar = Kind.CONTENT_SHARED
    act: ClassVar = Act.CONTENT_SHARED

    person: Name = msgspec.field(name="sharer")
    act_id: Uuid = msgspec.field(name="share")


class PurchaseRecorded(_Fact, frozen=True, gc=False):
    kind: ClassVar = Kind.PURCHASE_RECORDED

    person: Name = msgspec.field(name="buyer")
    purchase: ComparedUuid
    order_id: Name
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    amount: Money = msgspec.field(name="paid_minor")
    commissionable: Money = msgspec.field(name="commissionable_minor")

    @property
    def details(self) -> Mapping[str, Any]:
        """What the journal keeps of it beside its amount; so of the next ones."""
        return {"order_id": self.order_id, "currency": self.currency, "commissionable": self.commissionable}


class Link(msgspec.Struct, frozen=True, gc=False):
    """Who stands at a level of the chain."""

    level: Annotated[int, msgspec.Meta(ge=1, le=2)]
    person: Name


class PurchaseAttributed(_Fact, frozen=True, gc=False):
    kind: ClassVar = Kind.PURCHASE_ATTRIBUTED
    amount: ClassVar[None] = None

    person: Name = msgspec.field(name="buyer")
    purchase: ComparedUuid
    chain: list[Link]

    @property
    def details(self) -> Mapping[str, Any]:
        return {"chain": msgspec.to_builtins(self.chain)}


class PurchaseRefunded(_Fact, frozen=True, gc=False):
    kind: ClassVar = Kind.PURCHASE_REFUNDED

    person: Name = msgspec.field(name="buyer")
    purchase: ComparedUuid
    refund: ComparedUuid
    amount: Annotated[int, msgspec.Meta(ge=1, le=10**12)] = msgspec.field(name="amount_minor")
    refunded: Money | msgspec.UnsetType = msgspec.field(name="refunded_minor")
    """Of the purchase, this included. Never missing in a message; the journal does not keep it."""

    @property
    def details(self) -> Mapping[str, Any]:
        return {"refund": self.refund}


Done = PostPublished | CommentAdded | ReactionAdded | ContentShared
"""An act that stands from then on."""

TakenBack = PostRemoved | CommentRemoved | ReactionWithdrawn
PurchaseFact = PurchaseRecorded | PurchaseAttributed | PurchaseRefunded
PersonFact = MemberJoined | MemberLeft | Done | TakenBack | PostRestored | PurchaseFact
Message = PersonFact | CommunityFact

_READ_AS: Mapping[str, type[Message]] = {
    "membership.community-founded.v1": CommunityFounded,
    "membership.community-launched.v1": CommunityLaunched,
    "membership.member-joined.v1": MemberJoined,
    "membership.member-left.v1": MemberLeft,
    "content.post-published.v1": PostPublished,
    "content.post-removed.v1": PostRemoved,
    "content.post-restored.v1": PostRestored,
    "content.comment-added.v1": CommentAdded,
    "content.comment-removed.v1": CommentRemoved,
    "content.reaction-added.v1": ReactionAdded,
    "content.reaction-withdrawn.v1": ReactionWithdrawn,
    "content.content-shared.v1": ContentShared,
    "campaigns.purchase-recorded.v1": PurchaseRecorded,
    "campaigns.purchase-attributed.v1": PurchaseAttributed,
    "campaigns.purchase-refunded.v1": PurchaseRefunded,
}

TYPES = frozenset(_READ_AS)
"""The message types that are folded."""

TYPE_OF_KIND = {message.kind: type_name for type_name, message in _READ_AS.items()}


def message_of_kind(kind: Kind) -> type[Message]:
    """What a journal row of this kind was."""
    return _READ_AS[TYPE_OF_KIND[kind]]


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
