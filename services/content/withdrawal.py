"""How a post is withdrawn and stands again.

There are two reasons to withdraw a post: it was removed (by its author or by staff), and it is hidden (by staff). The
first one that appears withdraws it, the last one that goes restores it; so the two come strictly in turn.
"""

from datetime import datetime
from typing import Any

import msgspec

from services.content.events import PostFact, PostHidden, PostRemoved, PostRestored, PostUnhidden
from services.content.post import Post, State, check_version, existing
from services.content.stamps import stamp, stamp_of_act
from services.content.standing import Standing
from shared.errors import Forbidden
from shared.permissions import Action, allowed, require


class Remove(msgspec.Struct, frozen=True, kw_only=True):
    """Take a post back. `expected`: the version that the remover has seen."""

    person: str
    expected: int
    now: datetime


class Restore(msgspec.Struct, frozen=True, kw_only=True):
    """Take the removal back."""

    person: str
    now: datetime


class Hide(msgspec.Struct, frozen=True, kw_only=True):
    """Hide a post from everybody."""

    person: str
    now: datetime


class Unhide(msgspec.Struct, frozen=True, kw_only=True):
    """Stop hiding a post."""

    person: str
    now: datetime


def remove(command: Remove, standing: Standing, state: State, *, version: int) -> list[PostFact]:
    """Remove a post; nothing to do if it is removed, whatever version the caller has seen.

    An author may take back a post of the own also after leaving.

    Raises:
        NotFound: no such post.
        Forbidden: `not-the-author`: neither the author nor staff.
        PreconditionFailed: somebody changed it meanwhile.
    """
    post = existing(state)
    require_author_or_staff(command.person, standing, post.published.author)
    if post.removed_by is not None:
        return []
    check_version(command.expected, version)
    facts = _fields(post, command.now)
    return [PostRemoved(**facts, removed_by=command.person, withdraws=not post.withdrawn)]


def restore(command: Restore, standing: Standing, state: State) -> list[PostFact]:
    """Take a removal back; nothing to do if the post is not removed. The author restores what the author removed, staff
    what staff removed: nobody puts words back that their author has taken back, and no author undoes what staff did.

    Raises:
        NotFound: no such post.
        Forbidden: `not-a-member`; `not-the-author`: neither the author nor staff; `removed-by-author`, `removed-by-staff`.
    """
    post = existing(state)
    require(Action.READ_POSTS, standing.roles)
    require_author_or_staff(command.person, standing, post.published.author)
    if post.removed_by is None:
        return []
    author = post.published.author
    if post.removed_by == author and command.person != author:
        raise Forbidden("removed-by-author", "The author removed this post; only the author restores it.")
    if post.removed_by != author and not allowed(Action.REMOVE_POST_OF_OTHERS, standing.roles):
        raise Forbidden("removed-by-staff", "An owner or admin removed this post; only they restore it.")
    facts = _fields(post, command.now)
    return [PostRestored(**facts, restored_by=command.person, restores=post.hidden_by is None)]


def hide(command: Hide, standing: Standing, state: State) -> list[PostFact]:
    """Hide a post; nothing to do if it is hidden.

    Raises:
        NotFound: no such post.
        Forbidden: `not-a-member`, `role-missing`.
    """
    post = existing(state)
    require(Action.HIDE_POST, standing.roles)
    if post.hidden_by is not None:
        return []
    facts = _fields(post, command.now)
    return [PostHidden(**facts, hidden_by=command.person, withdraws=not post.withdrawn)]


def unhide(command: Unhide, standing: Standing, state: State) -> list[PostFact]:
    """Stop hiding a post; nothing to do if it is not hidden.

    Raises:
        NotFound: no such post.
        Forbidden: `not-a-member`, `role-missing`.
    """
    post = existing(state)
    require(Action.HIDE_POST, standing.roles)
    if post.hidden_by is None:
        return []
    facts = _fields(post, command.now)
    return [PostUnhidden(**facts, unhidden_by=command.person, restores=post.removed_by is None)]


def require_author_or_staff(person: str, standing: Standing, author: str) -> None:
    """Who may remove a post, restore it, and read all its versions.

    Raises:
        Forbidden: `not-the-author`.
    """
    if person != author and not allowed(Action.REMOVE_POST_OF_OTHERS, standing.roles):
        raise Forbidden("not-the-author", "Only the author, or an owner or admin of the community, may do this.")


def _fields(post: Post, now: datetime) -> dict[str, Any]:
    published = post.published
    return {
        **stamp(published, now=now),
        **stamp_of_act(published),
        "post": published.post,
        "author": published.author,
        "kind": published.kind,
    }
