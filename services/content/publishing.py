"""Which facts leave the house, and as which message."""

from typing import Any, TypeAlias, TypeVar, assert_never

from msgspec import Struct

from services.content import events, messages
from shared.commands.recorded import Message, Recorded

M = TypeVar("M", bound=Struct)

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
            return _of_post("content.post-published.v1", fact, _copy(messages.PostPublished, recorded))
        case events.PostEdited():
            edited = _copy(messages.PostEdited, recorded, version=recorded.version)
            return _of_post("content.post-edited.v1", fact, edited)
        case events.PostRemoved() | events.PostHidden():
            return _withdrawn(fact, recorded)
        case events.PostRestored() | events.PostUnhidden():
            return _restored(fact, recorded)
        case events.FloorGiven():
            return None
        case events.CommentAdded():
            added = _copy(messages.CommentAdded, recorded)
            return Message("content.comment-added.v1", fact.author, fact.comment, added)
        case events.CommentRemoved():
            removed = _copy(messages.CommentRemoved, recorded)
            return Message("content.comment-removed.v1", fact.author, fact.comment, removed)
        case events.ReactionAdded():
            reacted = _copy(messages.ReactionAdded, recorded)
            return Message("content.reaction-added.v1", fact.person, fact.target, reacted)
        case events.ReactionWithdrawn():
            withdrawn = _copy(messages.ReactionWithdrawn, recorded)
            return Message("content.reaction-withdrawn.v1", fact.person, fact.target, withdrawn)
        case events.ContentShared():
            shared = _copy(messages.ContentShared, recorded)
            return Message("content.content-shared.v1", fact.sharer, fact.share, shared)
        case events.ShareVisited():
            visited = _copy(messages.ShareVisited, recorded)
            return Message("content.share-visited.v1", fact.sharer, fact.share, visited)
    assert_never(fact)


def _withdrawn(fact: events.PostRemoved | events.PostHidden, recorded: Recorded) -> Message | None:
    """Two reasons, one withdrawal: told when the first of them appears."""
    if not fact.withdraws:
        return None
    by = fact.removed_by if isinstance(fact, events.PostRemoved) else fact.hidden_by
    return _of_post("content.post-removed.v1", fact, _copy(messages.PostRemoved, recorded, removed_by=by))


def _restored(fact: events.PostRestored | events.PostUnhidden, recorded: Recorded) -> Message | None:
    """Told when the last reason goes."""
    if not fact.restores:
        return None
    by = fact.restored_by if isinstance(fact, events.PostRestored) else fact.unhidden_by
    return _of_post("content.post-restored.v1", fact, _copy(messages.PostRestored, recorded, restored_by=by))


def _of_post(type_name: str, fact: events.PostFact, data: object) -> Message:
    return Message(type=type_name, key=fact.author, subject=fact.post, data=data)


def _copy(message: type[M], recorded: Recorded, **more: Any) -> M:
    """The message: `more`, and every other field as the fact has it."""
    fact = recorded.event
    given = {"recorded_at": recorded.recorded_at, **more}
    return message(
        **{name: given[name] if name in given else getattr(fact, name) for name in message.__struct_fields__}
    )
