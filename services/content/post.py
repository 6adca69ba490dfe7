"""The life of a post: published by a member, edited by its author. How it is withdrawn: `withdrawal`."""

from datetime import datetime
from typing import TypeAlias, TypeVar, assert_never

import msgspec

from services.content.events import (
    Draft,
    PostEdited,
    PostFact,
    PostHidden,
    PostPublished,
    PostRemoved,
    PostRestored,
    PostUnhidden,
)
from services.content.stamps import stamp
from services.content.standing import Standing, require_writer
from shared.codec import Codec
from shared.decider import Fold
from shared.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from shared.permissions import Action

T = TypeVar("T")

ANNOUNCEMENT = "announcement"
REVIEW = "review"
WITH_MEDIA = frozenset({"image", "link", "video"})
"""Kinds that are about something elsewhere, so they must say where."""


class Publish(msgspec.Struct, frozen=True, kw_only=True):
    """Publish a post. `occurred_at` None: now."""

    post: str
    author: str
    kind: str
    draft: Draft
    occurred_at: datetime | None
    importing: bool
    now: datetime


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """Change what is given, leave the rest. `expected`: the version that the editor has seen.

    Attributes:
        title, body, media, topics, rating: UNSET: unchanged.
    """

    person: str
    expected: int
    title: str | msgspec.UnsetType | None = msgspec.UNSET
    body: str | msgspec.UnsetType = msgspec.UNSET
    media: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    topics: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    rating: int | msgspec.UnsetType = msgspec.UNSET
    now: datetime


class Unpublished(msgspec.Struct, frozen=True, tag="unpublished"):
    """There is no such post."""


class Post(msgspec.Struct, frozen=True, kw_only=True, tag="post"):
    """A post. It stands while it is neither removed nor hidden.

    Attributes:
        draft: as last edited; `edited_at` None: never edited.
        removed_by: the author or staff; None: not removed.
        hidden_by: staff; None: not hidden.
    """

    published: PostPublished
    draft: Draft
    edited_at: datetime | None = None
    removed_by: str | None = None
    hidden_by: str | None = None

    @property
    def withdrawn(self) -> bool:
        return self.removed_by is not None or self.hidden_by is not None


State: TypeAlias = Unpublished | Post


def publish(command: Publish, standing: Standing) -> list[PostFact]:
    """Publish a post in the community of `standing`.

    Raises:
        Forbidden: `not-a-member`, `role-missing`, `occurred-at-not-allowed`.
        Conflict: `community-not-launched`, `community-retired`.
        Invalid: `media-missing`, `rating-missing`, `rating-not-taken`, `occurred-at-in-future`.
    """
    announcement = command.kind == ANNOUNCEMENT
    require_writer(standing, Action.PUBLISH_ANNOUNCEMENT if announcement else Action.PUBLISH_POST)
    _check(command.kind, command.draft)
    return [
        PostPublished(
            **stamp(standing, now=command.now, stated=command.occurred_at, importing=command.importing),
            post=command.post,
            author=command.author,
            kind=command.kind,
            draft=command.draft,
        )
    ]


def _check(kind: str, draft: Draft) -> None:
    if kind in WITH_MEDIA and not draft.media:
        raise Invalid("media-missing", f"A post of kind {kind} needs at least one media reference.")
    if kind == REVIEW and draft.rating is None:
        raise Invalid("rating-missing", "A review needs a rating of 1 to 5.")
    if kind != REVIEW and draft.rating is not None:
        raise Invalid("rating-not-taken", "Only a review has a rating.")


def edit(command: Edit, standing: Standing, state: State, *, version: int) -> list[PostFact]:
    """Edit a post of one's own; nothing to do if nothing changes.

    Raises:
        NotFound: no such post.
        Forbidden: `not-the-author`, `not-a-member`.
        Conflict: `post-removed`, `post-hidden`, `community-not-launched`, `community-retired`.
        PreconditionFailed: somebody changed it meanwhile.
        Invalid: `media-missing`, `rating-not-taken`.
    """
    post = existing(state)
    if command.person != post.published.author:
        raise Forbidden("not-the-author", "Only the author edits a post.")
    require_writer(standing, Action.PUBLISH_POST)
    require_standing(post)
    check_version(command.expected, version)
    draft = Draft(
        title=_changed(command.title, post.draft.title),
        body=_changed(command.body, post.draft.body),
        media=_changed(command.media, post.draft.media),
        topics=_changed(command.topics, post.draft.topics),
        rating=_changed(command.rating, post.draft.rating),
    )
    if draft == post.draft:
        return []
    _check(post.published.kind, draft)
    return [
        PostEdited(
            **stamp(post.published, now=command.now),
            post=post.published.post,
            author=post.published.author,
            draft=draft,
        )
    ]


def existing(state: State) -> Post:
    """Raises NotFound `post-not-found`."""
    if isinstance(state, Unpublished):
        raise not_found()
    return state


def not_found() -> NotFound:
    """The refusal for a post that is not there, or is another organization's: in the same words for both."""
    return NotFound("post-not-found", "There is no such post.")


def require_standing(post: Post) -> None:
    """Raises Conflict `post-removed` or `post-hidden`: nothing is added to a post that is withdrawn."""
    if post.removed_by is not None:
        raise Conflict("post-removed", "This post was removed.")
    if post.hidden_by is not None:
        raise Conflict("post-hidden", "This post is hidden.")


def check_version(expected: int, version: int) -> None:
    """Raises PreconditionFailed `version-changed`."""
    if expected != version:
        raise PreconditionFailed(
            "version-changed", "It was changed since you read it. Read it again, then repeat the change."
        )


def _changed(new: T | msgspec.UnsetType, old: T) -> T:
    return old if isinstance(new, msgspec.UnsetType) else new


def evolve(state: State, event: PostFact) -> State:
    if isinstance(event, PostPublished):
        return Post(published=event, draft=event.draft)
    if isinstance(state, Unpublished):
        return state
    match event:
        case PostEdited():
            return msgspec.structs.replace(state, draft=event.draft, edited_at=event.occurred_at)
        case PostRemoved():
            return msgspec.structs.replace(state, removed_by=event.removed_by)
        case PostRestored():
            return msgspec.structs.replace(state, removed_by=None)
        case PostHidden():
            return msgspec.structs.replace(state, hidden_by=event.hidden_by)
        case PostUnhidden():
            return msgspec.structs.replace(state, hidden_by=None)
    assert_never(event)


FOLD: Fold[State, PostFact] = Fold(
    initial=Unpublished(),
    evolve=evolve,
    codec=Codec[PostFact]([PostPublished, PostEdited, PostRemoved, PostRestored, PostHidden, PostUnhidden]),
    state_type=State,
)
