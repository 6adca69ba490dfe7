"""The life of a comment: added to a post by a member, removed by its author or by staff."""

from datetime import datetime
from typing import TypeAlias, assert_never

import msgspec

from services.content import post
from services.content.events import CommentAdded, CommentFact, CommentRemoved
from services.content.stamps import stamp, stamp_of_act
from services.content.standing import Standing, require_writer
from shared.codec import Codec
from shared.decider import Fold
from shared.errors import Conflict, Forbidden, Invalid, NotFound
from shared.permissions import Action, allowed


class Add(msgspec.Struct, frozen=True, kw_only=True):
    """Comment on a post. `occurred_at` None: now.

    Attributes:
        parent: the comment it replies to.
        floor: the next one of the post.
    """

    comment: str
    author: str
    body: str
    parent: str | None
    floor: int
    occurred_at: datetime | None
    importing: bool
    now: datetime


class Remove(msgspec.Struct, frozen=True, kw_only=True):
    """Take a comment back. `expected`: the version that the remover has seen."""

    person: str
    expected: int
    now: datetime


class Unwritten(msgspec.Struct, frozen=True, tag="unwritten"):
    """There is no such comment."""


class Comment(msgspec.Struct, frozen=True, kw_only=True, tag="comment"):
    """A comment. `removed_by` None: it stands."""

    added: CommentAdded
    removed_by: str | None = None


State: TypeAlias = Unwritten | Comment


def add(command: Add, standing: Standing, on: post.State, parent: State | None) -> list[CommentFact]:
    """Comment on a post, or reply to a comment on it.

    Args:
        parent: of the comment it replies to; None: a comment of its own.

    Raises:
        NotFound: no such post.
        Forbidden: `not-a-member`, `occurred-at-not-allowed`.
        Conflict: `post-removed`, `post-hidden`, `comment-removed`, `community-not-launched`, `community-retired`.
        Invalid: `parent-not-found`, `parent-is-reply`, `occurred-at-in-future`.
    """
    commented = post.existing(on)
    require_writer(standing, Action.COMMENT)
    post.require_standing(commented)
    if parent is not None:
        _check_parent(parent, commented)
    published = commented.published
    return [
        CommentAdded(
            **stamp(published, now=command.now, stated=command.occurred_at, importing=command.importing),
            comment=command.comment,
            post=published.post,
            post_author=published.author,
            author=command.author,
            floor=command.floor,
            parent=command.parent,
            body=command.body,
        )
    ]


def _check_parent(parent: State, on: post.Post) -> None:
    if isinstance(parent, Unwritten) or parent.added.post != on.published.post:
        raise Invalid("parent-not-found", "The post has no such comment to reply to.")
    if parent.added.parent is not None:
        raise Invalid(
            "parent-is-reply",
            "Replies are one level deep: reply to the comment that this reply belongs to.",
            parent=parent.added.parent,
        )
    require_standing(parent)


def remove(command: Remove, standing: Standing, state: State, *, version: int) -> list[CommentFact]:
    """Remove a comment; nothing to do if it is removed, whatever version the caller has seen. Its floor stays empty.

    An author may take back a comment of the own also after leaving.

    Raises:
        NotFound: no such comment.
        Forbidden: `not-the-author`: neither the author nor staff.
        PreconditionFailed: somebody changed it meanwhile.
    """
    comment = existing(state)
    added = comment.added
    if command.person != added.author and not allowed(Action.REMOVE_COMMENT_OF_OTHERS, standing.roles):
        raise Forbidden("not-the-author", "Only the author, or an owner or admin of the community, may do this.")
    if comment.removed_by is not None:
        return []
    post.check_version(command.expected, version)
    return [
        CommentRemoved(
            **stamp(added, now=command.now),
            **stamp_of_act(added),
            comment=added.comment,
            post=added.post,
            author=added.author,
            floor=added.floor,
            removed_by=command.person,
        )
    ]


def existing(state: State) -> Comment:
    """Raises NotFound `comment-not-found`."""
    if isinstance(state, Unwritten):
        raise not_found()
    return state


def not_found() -> NotFound:
    """The refusal for a comment that is not there, or is another organization's: in the same words for both."""
    return NotFound("comment-not-found", "There is no such comment.")


def require_standing(comment: Comment) -> None:
    """Raises Conflict `comment-removed`: nothing is added to a comment that is removed."""
    if comment.removed_by is not None:
        raise Conflict("comment-removed", "This comment was removed.")


def evolve(state: State, event: CommentFact) -> State:
    match event:
        case CommentAdded():
            return Comment(added=event)
        case CommentRemoved():
            return (
                state if isinstance(state, Unwritten) else msgspec.structs.replace(state, removed_by=event.removed_by)
            )
    assert_never(event)


FOLD: Fold[State, CommentFact] = Fold(
    initial=Unwritten(),
    evolve=evolve,
    codec=Codec[CommentFact]([CommentAdded, CommentRemoved]),
    state_type=State,
)
