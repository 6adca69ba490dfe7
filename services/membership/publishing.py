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
            return _message("community-launched", fact, fact.community, _launched(fact, recorded))
        case events.OwnershipTransferred():
            return _message("ownership-transferred", fact, fact.community, _transferred(fact, recorded))
        case events.MemberJoined():
            return _message("member-joined", fact, fact.person, _joined(fact, recorded))
        case events.MemberLeft():
            return _message("member-left", fact, fact.person, _left(fact, recorded))
        case events.RoleGranted():
            return _message("role-granted", fact, fact.person, _granted(fact, recorded))
        case events.RoleRevoked():
            return _message("role-revoked", fact, fact.person, _revoked(fact, recorded))
        case events.InvitationCreated():
            return _message("invitation-created", fact, fact.inviter, _invited(fact, recorded))
        case events.ReferralBound():
            return _message("referral-bound", fact, fact.person, _bound(fact, recorded))
        case events.ReferralAbsent():
            return _message("referral-absent", fact, fact.person, _absent(fact, recorded))
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
    return messages.CommunityFounded(
        organization=fact.organization,
        community=fact.community,
        owner=fact.owner,
        kind=fact.charter.kind,
        zone=fact.charter.zone,
        currency=fact.charter.currency,
        capacity=fact.charter.capacity,
        entry=list(fact.charter.entry),
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
        landing_url=fact.charter.landing_url,
    )


def _launched(fact: events.CommunityLaunched, recorded: Recorded) -> messages.CommunityLaunched:
    return messages.CommunityLaunched(
        organization=fact.organization,
        community=fact.community,
        zone=fact.zone,
        currency=fact.currency,
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
        landing_url=fact.landing_url,
    )


def _joined(fact: events.MemberJoined, recorded: Recorded) -> messages.MemberJoined:
    touchpoint = msgspec.convert(fact.touchpoint, messages.Touchpoint | None, from_attributes=True)
    return messages.MemberJoined(
        organization=fact.organization,
        community=fact.community,
        community_status="draft" if fact.community_status == "draft" else "launched",
        zone=fact.zone,
        currency=fact.currency,
        person=fact.person,
        roles=list(fact.roles),
        first_in_community=fact.first_in_community,
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
        join=fact.join,
        invitation=fact.invitation,
        share_code=fact.share_code,
        inviter=fact.inviter,
        touchpoint=touchpoint,
        referral=msgspec.convert(fact.referral, messages.Referral),
        referrer=fact.referrer,
    )


def _left(fact: events.MemberLeft, recorded: Recorded) -> messages.MemberLeft:
    return messages.MemberLeft(
        organization=fact.organization,
        community=fact.community,
        zone=fact.zone,
        currency=fact.currency,
        person=fact.person,
        within_probation=fact.within_probation,
        joined_at=fact.joined_at,
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
    )


def _transferred(fact: events.OwnershipTransferred, recorded: Recorded) -> messages.OwnershipTransferred:
    return messages.OwnershipTransferred(
        organization=fact.organization,
        community=fact.community,
        zone=fact.zone,
        currency=fact.currency,
        previous_owner=fact.previous_owner,
        owner=fact.owner,
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
    )


def _granted(fact: events.RoleGranted, recorded: Recorded) -> messages.RoleGranted:
    return messages.RoleGranted(
        organization=fact.organization,
        community=fact.community,
        zone=fact.zone,
        currency=fact.currency,
        person=fact.person,
        role=fact.role,
        granted_by=fact.granted_by,
        roles=list(fact.roles),
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
    )


def _revoked(fact: events.RoleRevoked, recorded: Recorded) -> messages.RoleRevoked:
    return messages.RoleRevoked(
        organization=fact.organization,
        community=fact.community,
        zone=fact.zone,
        currency=fact.currency,
        person=fact.person,
        role=fact.role,
        revoked_by=fact.revoked_by,
        roles=list(fact.roles),
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
    )


def _invited(fact: events.InvitationCreated, recorded: Recorded) -> messages.InvitationCreated:
    return messages.InvitationCreated(
        organization=fact.organization,
        community=fact.community,
        zone=fact.zone,
        currency=fact.currency,
        invitation=fact.invitation,
        inviter=fact.inviter,
        max_uses=fact.max_uses,
        expires_at=fact.expires_at,
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
    )


def _bound(fact: events.ReferralBound, recorded: Recorded) -> messages.ReferralBound:
    return messages.ReferralBound(
        organization=fact.organization,
        community=fact.community,
        zone=fact.zone,
        currency=fact.currency,
        person=fact.person,
        join=fact.join,
        referrer=fact.referrer,
        joined_recorded_at=fact.joined_recorded_at,
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
    )


def _absent(fact: events.ReferralAbsent, recorded: Recorded) -> messages.ReferralAbsent:
    return messages.ReferralAbsent(
        organization=fact.organization,
        community=fact.community,
        zone=fact.zone,
        currency=fact.currency,
        person=fact.person,
        join=fact.join,
        reason=fact.reason,
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
    )
