"""The few fields of membership's messages that content uses; the rest is ignored."""

from typing import TypeAlias

import msgspec

from shared.messaging.facts import InboundFact, Poison


class CommunityFounded(msgspec.Struct, frozen=True):
    organization: str
    community: str
    zone: str
    currency: str
    landing_url: str | None = None


class CommunityLaunched(msgspec.Struct, frozen=True):
    organization: str
    community: str
    zone: str
    currency: str
    landing_url: str | None = None


class MemberJoined(msgspec.Struct, frozen=True):
    organization: str
    community: str
    community_status: str
    zone: str
    currency: str
    person: str
    roles: tuple[str, ...]


class MemberLeft(msgspec.Struct, frozen=True):
    community: str
    person: str


class RolesChanged(msgspec.Struct, frozen=True):
    """A role was granted or revoked; `roles`: all that the member has now."""

    community: str
    person: str
    roles: tuple[str, ...]


Inbound: TypeAlias = CommunityFounded | CommunityLaunched | MemberJoined | MemberLeft | RolesChanged

TOPIC = "membership.events"

READERS: dict[str, msgspec.json.Decoder[Inbound]] = {
    "membership.community-founded.v1": msgspec.json.Decoder(CommunityFounded),
    "membership.community-launched.v1": msgspec.json.Decoder(CommunityLaunched),
    "membership.member-joined.v1": msgspec.json.Decoder(MemberJoined),
    "membership.member-left.v1": msgspec.json.Decoder(MemberLeft),
    "membership.role-granted.v1": msgspec.json.Decoder(RolesChanged),
    "membership.role-revoked.v1": msgspec.json.Decoder(RolesChanged),
}


def read(fact: InboundFact) -> Inbound:
    """The message in this record.

    Raises:
        Poison: it does not have the shape of its type.
    """
    try:
        return READERS[fact.type].decode(fact.value)
    except msgspec.DecodeError as error:
        raise Poison(fact, f"{fact.type} cannot be read: {error}") from error
