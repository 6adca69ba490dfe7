"""Which facts leave the house, and as which message."""

from typing import assert_never

from services.membership import events, messages
from shared.commands.recorded import Message, Recorded


def publish(recorded: Recorded) -> Message | None:
    """The message that others get of this fact, or None."""
    fact: events.CommunityFact | events.MemberFact | events.PlaceFact = recorded.event
    match fact:
        case events.CommunityFounded():
            return _of_community("membership.community-founded.v1", fact.community, _founded(fact, recorded))
        case events.CommunityLaunched():
            return _of_community("membership.community-launched.v1", fact.community, _launched(fact, recorded))
        case events.MemberJoined():
            return _of_member("membership.member-joined.v1", fact, _joined(fact, recorded))
        case events.MemberLeft():
            return _of_member("membership.member-left.v1", fact, _left(fact, recorded))
        case events.PlaceTaken() | events.PlaceFreed():
            return None
    assert_never(fact)


def _of_community(type_name: str, community: str, data: object) -> Message:
    return Message(type=type_name, key=community, subject=community, data=data)


def _of_member(type_name: str, fact: events.MemberFact, data: object) -> Message:
    return Message(type=type_name, key=fact.person, subject=fact.community, data=data)


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
    )


def _joined(fact: events.MemberJoined, recorded: Recorded) -> messages.MemberJoined:
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
