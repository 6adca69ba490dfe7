"""Which facts leave the house, and as which message."""

from typing import assert_never

from services.content import events, messages
from shared.commands.recorded import Message, Recorded


def publish(recorded: Recorded) -> Message | None:
    """The message that others get of this fact, or None."""
    fact: events.PostFact = recorded.event
    match fact:
        case events.PostPublished():
            return _of_post("content.post-published.v1", fact, _published(fact, recorded))
        case events.PostEdited():
            return _of_post("content.post-edited.v1", fact, _edited(fact, recorded))
        case events.PostRemoved():
            return _of_post("content.post-removed.v1", fact, _removed(fact, recorded))
    assert_never(fact)


def _of_post(type_name: str, fact: events.PostFact, data: object) -> Message:
    return Message(type=type_name, key=fact.author, subject=fact.post, data=data)


def _published(fact: events.PostPublished, recorded: Recorded) -> messages.PostPublished:
    return messages.PostPublished(
        organization=fact.organization,
        community=fact.community,
        zone=fact.zone,
        currency=fact.currency,
        post=fact.post,
        author=fact.author,
        kind=fact.kind,
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
    )


def _edited(fact: events.PostEdited, recorded: Recorded) -> messages.PostEdited:
    return messages.PostEdited(
        organization=fact.organization,
        community=fact.community,
        zone=fact.zone,
        currency=fact.currency,
        post=fact.post,
        author=fact.author,
        version=recorded.version,
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
    )


def _removed(fact: events.PostRemoved, recorded: Recorded) -> messages.PostRemoved:
    return messages.PostRemoved(
        organization=fact.organization,
        community=fact.community,
        zone=fact.zone,
        currency=fact.currency,
        post=fact.post,
        author=fact.author,
        kind=fact.kind,
        removed_by=fact.removed_by,
        act_occurred_at=fact.act_occurred_at,
        act_local_day=fact.act_local_day,
        occurred_at=fact.occurred_at,
        recorded_at=recorded.recorded_at,
        local_day=fact.local_day,
    )
