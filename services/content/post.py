"""The life of a post: published by a member, edited by its author, removed by its author or the community's owner."""

from datetime import datetime
from typing import TypeAlias, TypeVar, assert_never

import msgspec

from services.content.events import Draft, PostEdited, PostFact, PostPublished, PostRemoved
from services.content.standing import OWNER, Standing, require_member, require_open
from shared.codec import Codec
from shared.decider import Fold
from shared.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from shared.moments import moment

T = TypeVar("T")

OFFERED_KINDS = ("text", "question", "image", "link", "video")
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
        title, body, media, topics: UNSET: unchanged.
    """

    person: str
    expected: int
    title: str | msgspec.UnsetType | None
    body: str | msgspec.UnsetType
    media: tuple[str, ...] | msgspec.UnsetType
    topics: tuple[str, ...] | msgspec.UnsetType
    now: datetime


class Remove(msgspec.Struct, frozen=True, kw_only=True):
    """Take a post back. `expected`: the version that the remover has seen."""

    person: str
    expected: int
    now: datetime


class Unpublished(msgspec.Struct, frozen=True, tag="unpublished"):
    """There is no such post."""


class Published(msgspec.Struct, frozen=True, kw_only=True, tag="published"):
    """A post that stands. `draft`: as last edited; `edited_at` None: never edited."""

    published: PostPublished
    draft: Draft
    edited_at: datetime | None = None


class Removed(msgspec.Struct, frozen=True, tag="removed"):
    """A post that was taken back."""

    published: PostPublished


State: TypeAlias = Unpublished | Published | Removed


def publish(command: Publish, standing: Standing) -> list[PostFact]:
    """Publish a post in the community of `standing`.

    Raises:
        Forbidden: `not-a-member`, `occurred-at-not-allowed`.
        Conflict: `community-not-launched`, `community-retired`.
        Invalid: `kind-not-offered`, `media-missing`, `occurred-at-in-future`.
    """
    require_member(standing)
    require_open(standing)
    _check(command.kind, command.draft)
    occurred_at, local_day = moment(
        command.occurred_at, now=command.now, importing=command.importing, zone=standing.zone
    )
    return [
        PostPublished(
            organization=standing.organization,
            community=standing.community,
            zone=standing.zone,
            currency=standing.currency,
            post=command.post,
            author=command.author,
            kind=command.kind,
            draft=command.draft,
            occurred_at=occurred_at,
            local_day=local_day,
        )
    ]


def _check(kind: str, draft: Draft) -> None:
    if kind not in OFFERED_KINDS:
        offered = ", ".join(OFFERED_KINDS)
        raise Invalid("kind-not-offered", f"Posts of kind {kind} are not offered yet. Offered: {offered}.")
    if kind in WITH_MEDIA and not draft.media:
        raise Invalid("media-missing", f"A post of kind {kind} needs at least one media reference.")


def edit(command: Edit, standing: Standing, state: State, *, version: int) -> list[PostFact]:
    """Edit a post of one's own; nothing to do if nothing changes.

    Raises:
        NotFound: no such post.
        Forbidden: `not-the-author`, `not-a-member`.
        Conflict: `post-removed`, `community-not-launched`, `community-retired`.
        PreconditionFailed: somebody changed it meanwhile.
        Invalid: `media-missing`.
    """
    published = _existing(state)
    if command.person != published.author:
        raise Forbidden("not-the-author", "Only the author edits a post.")
    require_member(standing)
    require_open(standing)
    if isinstance(state, Removed):
        raise Conflict("post-removed", "This post was removed. It can no longer be edited.")
    assert isinstance(state, Published)
    _check_version(command.expected, version)
    draft = Draft(
        title=_changed(command.title, state.draft.title),
        body=_changed(command.body, state.draft.body),
        media=_changed(command.media, state.draft.media),
        topics=_changed(command.topics, state.draft.topics),
    )
    if draft == state.draft:
        return []
    _check(published.kind, draft)
    occurred_at, local_day = moment(None, now=command.now, importing=False, zone=published.zone)
    return [
        PostEdited(
            organization=published.organization,
            community=published.community,
            zone=published.zone,
            currency=published.currency,
            post=published.post,
            author=published.author,
            draft=draft,
            occurred_at=occurred_at,
            local_day=local_day,
        )
    ]


def remove(command: Remove, standing: Standing, state: State, *, version: int) -> list[PostFact]:
    """Remove a post; nothing to do if it is removed, whatever version the caller has seen.

    An author may take back a post of the own also after leaving.

    Raises:
        NotFound: no such post.
        Forbidden: `not-the-author`: neither the author nor the owner of the community.
        PreconditionFailed: somebody changed it meanwhile.
    """
    published = _existing(state)
    if command.person != published.author and OWNER not in standing.roles:
        raise Forbidden("not-the-author", "Only the author or the owner of the community removes a post.")
    if isinstance(state, Removed):
        return []
    _check_version(command.expected, version)
    occurred_at, local_day = moment(None, now=command.now, importing=False, zone=published.zone)
    return [
        PostRemoved(
            organization=published.organization,
            community=published.community,
            zone=published.zone,
            currency=published.currency,
            post=published.post,
            author=published.author,
            kind=published.kind,
            removed_by=command.person,
            act_occurred_at=published.occurred_at,
            act_local_day=published.local_day,
            occurred_at=occurred_at,
            local_day=local_day,
        )
    ]


def _existing(state: State) -> PostPublished:
    if isinstance(state, Unpublished):
        raise NotFound("post-not-found", "There is no such post.")
    return state.published


def _check_version(expected: int, version: int) -> None:
    if expected != version:
        raise PreconditionFailed(
            "version-changed", "The post was changed since you read it. Read it again, then repeat the change."
        )


def _changed(new: T | msgspec.UnsetType, old: T) -> T:
    return old if isinstance(new, msgspec.UnsetType) else new


def evolve(state: State, event: PostFact) -> State:
    match event:
        case PostPublished():
            return Published(published=event, draft=event.draft)
        case PostEdited():
            if not isinstance(state, Published):
                return state
            return msgspec.structs.replace(state, draft=event.draft, edited_at=event.occurred_at)
        case PostRemoved():
            return state if isinstance(state, Unpublished) else Removed(published=state.published)
    assert_never(event)


FOLD: Fold[State, PostFact] = Fold(
    initial=Unpublished(),
    evolve=evolve,
    codec=Codec[PostFact]([PostPublished, PostEdited, PostRemoved]),
    state_type=State,
)
