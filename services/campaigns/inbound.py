"""The few fields of other services' messages that campaigns uses; the rest is ignored."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import msgspec

from shared.messaging.facts import InboundFact, Poison

Instant: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


class CommunityFounded(msgspec.Struct, frozen=True):
    organization: str
    community: UUID
    zone: str
    currency: str


class CommunityLaunched(msgspec.Struct, frozen=True):
    organization: str
    community: UUID
    zone: str
    currency: str


class MemberJoined(msgspec.Struct, frozen=True):
    organization: str
    community: UUID
    zone: str
    currency: str
    person: str
    recorded_at: Instant
    join: UUID | None = None
    referral: Literal["none", "bound", "pending"] = "none"
    referrer: str | None = None


class ReferralBound(msgspec.Struct, frozen=True):
    organization: str
    person: str
    join: UUID
    referrer: str
    joined_recorded_at: Instant


class ReferralAbsent(msgspec.Struct, frozen=True):
    organization: str
    person: str
    join: UUID


class ContentShared(msgspec.Struct, frozen=True):
    organization: str
    code: str
    sharer: str
    occurred_at: Instant
    recorded_at: Instant


Inbound: TypeAlias = (
    CommunityFounded | CommunityLaunched | MemberJoined | ReferralBound | ReferralAbsent | ContentShared
)

MEMBERSHIP = "membership.events"
CONTENT = "content.events"

OF_BINDINGS = ("membership.member-joined.v1", "membership.referral-bound.v1", "membership.referral-absent.v1")
"""Types that say who is bound to whom."""

OF_SHARES = ("content.content-shared.v1",)

READERS: dict[str, msgspec.json.Decoder[Inbound]] = {
    "membership.community-founded.v1": msgspec.json.Decoder(CommunityFounded),
    "membership.community-launched.v1": msgspec.json.Decoder(CommunityLaunched),
    "membership.member-joined.v1": msgspec.json.Decoder(MemberJoined),
    "membership.referral-bound.v1": msgspec.json.Decoder(ReferralBound),
    "membership.referral-absent.v1": msgspec.json.Decoder(ReferralAbsent),
    "content.content-shared.v1": msgspec.json.Decoder(ContentShared),
}


def read(fact: InboundFact) -> Inbound:
    """The message in this record.

    Raises:
        Poison: it does not have the shape of its type, or leaves out what its referral needs.
    """
    try:
        message = READERS[fact.type].decode(fact.value)
    except msgspec.DecodeError as error:
        raise Poison(fact, f"{fact.type} cannot be read: {error}") from error
    if isinstance(message, MemberJoined):
        if message.referral == "pending" and message.join is None:
            raise Poison(fact, "a pending referral does not name its join")
        if message.referral == "bound" and message.referrer is None:
            raise Poison(fact, "a bound referral does not name its referrer")
    return message
