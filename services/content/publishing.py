"""Which facts leave the house, and as which message."""

from typing import TypeAlias, assert_never

from services.content import events, messages
from shared.commands.recorded import Message, Recorded

StoredFact: TypeAlias = (
    events.PostFact
    | events.FloorGiven
    | events.CommentFact
    | events.ReactionFact
    | events.ContentShared
    | events.ShareVisited
)


def publish(recorded: Recorded) -> Message | None:
    """The message that others get of this fact, or None."""
    fact: StoredFact = recorded.event
    match fact:
        case events.PostPublished():
            return _of_post("content.post-published.v1", fact, recorded.told_as(messages.PostPublished))
        case events.PostEdited():
            edited = recorded.told_as(messages.PostEdited, version=recorded.version)
            return _of_post("content.post-edited.v1", fact, edited)
        case events.PostRemoved() | events.PostHidden():
            return _withdrawn(fact, recorded)
        case events.PostRestored() | events.PostUnhidden():
            return _restored(fact, recorded)
        case events.FloorGiven():
            return None
        case events.CommentAdded():
            added = recorded.told_as(messages.CommentAdded)
            return Message("content.comment-added.v1", fact.author, fact.comment, added)
        case events.CommentRemoved():
            removed = recorded.told_as(messages.CommentRemoved)
            return Message("content.comment-removed.v1", fact.author, fact.comment, removed)
        case events.ReactionAdded():
            reacted = recorded.told_as(messages.ReactionAdded)
            return Message("content.reaction-added.v1", fact.person, fact.target, reacted)
        case events.ReactionWithdrawn():
            withdrawn = recorded.told_as(messages.ReactionWithdrawn)
            return Message("content.reaction-withdrawn.v1", fact.person, fact.target, withdrawn)
        case events.ContentShared():
            shared = recorded.told_as(messages.ContentShared)
            return Message("content.content-shared.v1", fact.sharer, fact.share, shared)
        case events.ShareVisited():
            visited = recorded.told_as(messages.ShareVisited)
            return Message("content.share-visited.v1", fact.sharer, fact.share, visited)
    assert_never(fact)


def _withdrawn(fact: events.PostRemoved | events.PostHidden, recorded: Recorded) -> Message | None:
    """Two reasons, one withdrawal: told when the first of them appears."""
    if not fact.withdraws:
        return None
    by = fact.removed_by if isinstance(fact, events.PostRemoved) else fact.hidden_by
    return _of_post("content.post-removed.v1", fact, recorded.told_as(messages.PostRemoved, removed_by=by))


def _restored(fact: events.PostRestored | events.PostUnhidden, recorded: Recorded) -> Message | None:
    """Told when the last reason goes."""
    if not fact.restores:
        return None
    by = fact.restored_by if isinstance(fact, events.PostRestored) else fact.unhidden_by
    return _of_post("content.post-restored.v1", fact, recorded.told_as(messages.PostRestored, restored_by=by))


def _of_post(type_name: str, fact: events.PostFact, data: object) -> Message:
    return Message(type=type_name, key=fact.author, subject=fact.post, data=data)
