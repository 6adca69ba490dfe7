"""Which facts leave the house, and as which message."""

from typing import TypeAlias, assert_never

import msgspec

from services.membership import events, messages
from shared.commands.recorded import Message, Recorded

_Fact: TypeAlias = (
    events.CommunityFact | events.MemberFact | events.InvitationFact | events.ReferralFact | events.PlaceFact
)
_Published: TypeAlias = (
    events.CommunityFact | events.MemberFact | events.InvitationCreated | events.ReferralBound | events.ReferralAbsent
)


def publish(recorded: Recorded) -> Message | None:
    """The message that others get of this fact, or None."""
    fact: _Fact = recorded.event
    match fact:
        case events.CommunityFounded():
            return _message("community-founded", fact, fact.community, _founded(fact, recorded))
        case events.CommunityLaunched():
            return _message("community-launched", fact, fact.community, recorded.told_as(messages.CommunityLaunched))
        case events.OwnershipTransferred():
            return _message(
                "ownership-transferred", fact, fact.community, recorded.told_as(messages.OwnershipTransferred)
            )
        case events.MemberJoined():
            return _message("member-joined", fact, fact.person, _joined(fact, recorded))
        case events.MemberLeft():
            return _message("member-left", fact, fact.person, recorded.told_as(messages.MemberLeft))
        case events.RoleGranted():
            return _message(
                "role-granted", fact, fact.person, recorded.told_as(messages.RoleGranted, roles=list(fact.roles))
            )
        case events.RoleRevoked():
            return _message(
                "role-revoked", fact, fact.person, recorded.told_as(messages.RoleRevoked, roles=list(fact.roles))
            )
        case events.InvitationCreated():
            return _message("invitation-created", fact, fact.inviter, recorded.told_as(messages.InvitationCreated))
        case events.ReferralBound():
            return _message("referral-bound", fact, fact.person, recorded.told_as(messages.ReferralBound))
        case events.ReferralAbsent():
            return _message("referral-absent", fact, fact.person, recorded.told_as(messages.ReferralAbsent))
        case (
            events.PlaceTaken()
            | events.PlaceFreed()
            | events.InvitationUsed()
            | events.ReferrerTaken()
            | events.ReferralDeferred()
        ):
            return None  # what they change is said by the fact of the join or of the leaving
    assert_never(fact)


def _message(name: str, fact: _Published, key: str, data: object) -> Message:
    return Message(type=f"membership.{name}.v1", key=key, subject=fact.community, data=data)


def _founded(fact: events.CommunityFounded, recorded: Recorded) -> messages.CommunityFounded:
    charter = fact.charter
    return recorded.told_as(
        messages.CommunityFounded,
        kind=charter.kind,
        zone=charter.zone,
        currency=charter.currency,
        capacity=charter.capacity,
        entry=list(charter.entry),
        landing_url=charter.landing_url,
    )


def _joined(fact: events.MemberJoined, recorded: Recorded) -> messages.MemberJoined:
    touchpoint = msgspec.convert(fact.touchpoint, messages.Touchpoint | None, from_attributes=True)
    return recorded.told_as(messages.MemberJoined, touchpoint=touchpoint, roles=list(fact.roles))
