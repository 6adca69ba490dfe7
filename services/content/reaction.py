"""The reactions of one person to one post or comment: at most one of each kind at a time."""

from datetime import datetime
from typing import Any, Literal, TypeAlias, assert_never

import msgspec

from services.content import comment, post
from services.content.events import CommentAdded, PostPublished, ReactionAdded, ReactionFact, ReactionWithdrawn
from services.content.stamps import stamp, stamp_of_act
from services.content.standing import Standing, require_writer
from shared.codec import Codec
from shared.decider import Fold
from shared.permissions import Action

Kind: TypeAlias = Literal["like", "love", "laugh", "insightful", "thanks"]


class React(msgspec.Struct, frozen=True, kw_only=True):
    """React to something. `occurred_at` None: now."""

    reaction: str
    person: str
    kind: str
    occurred_at: datetime | None
    importing: bool
    now: datetime


class Withdraw(msgspec.Struct, frozen=True, kw_only=True):
    """Take a reaction back."""

    kind: str
    now: datetime


class Reactions(msgspec.Struct, frozen=True):
    """`standing`: by kind, the reaction that stands."""

    standing: dict[str, ReactionAdded] = {}


def react(
    command: React, standing: Standing, on: post.State, to: comment.State | None, state: Reactions
) -> list[ReactionFact]:
    """React to a post, or to a comment on it; nothing to do if a reaction of this kind stands. A reaction to something of
    one's own is accepted and does not count.

    Args:
        to: the comment; None: the post itself.

    Raises:
        NotFound: no such post or comment.
        Forbidden: `not-a-member`, `occurred-at-not-allowed`.
        Conflict: `post-removed`, `post-hidden`, `comment-removed`, `community-not-launched`, `community-retired`.
        Invalid: `occurred-at-in-future`.
    """
    target = _target(on, to)
    require_writer(standing, Action.REACT)
    if command.kind in state.standing:
        return []
    published = post.existing(on)
    post.require_standing(published)
    if to is not None:
        comment.require_standing(comment.existing(to))
    return [
        ReactionAdded(
            **stamp(target, now=command.now, stated=command.occurred_at, importing=command.importing),
            **_fields(target),
            reaction=command.reaction,
            person=command.person,
            kind=command.kind,
            counts=target.author != command.person,
        )
    ]


def _target(on: post.State, to: comment.State | None) -> PostPublished | CommentAdded:
    return post.existing(on).published if to is None else comment.existing(to).added


def _fields(target: PostPublished | CommentAdded) -> dict[str, Any]:
    match target:
        case PostPublished():
            return {"target_kind": "post", "target": target.post, "target_author": target.author}
        case CommentAdded():
            return {"target_kind": "comment", "target": target.comment, "target_author": target.author}
    assert_never(target)


def withdraw(command: Withdraw, state: Reactions) -> list[ReactionFact]:
    """Take a reaction back; nothing to do if none of this kind stands. Also after leaving, and on what is withdrawn."""
    added = state.standing.get(command.kind)
    if added is None:
        return []
    return [
        ReactionWithdrawn(
            **stamp(added, now=command.now),
            **stamp_of_act(added),
            reaction=added.reaction,
            target_kind=added.target_kind,
            target=added.target,
            target_author=added.target_author,
            person=added.person,
            kind=added.kind,
            counts=added.counts,
        )
    ]


def evolve(state: Reactions, event: ReactionFact) -> Reactions:
    others = {kind: added for kind, added in state.standing.items() if kind != event.kind}
    match event:
        case ReactionAdded():
            return Reactions({**others, event.kind: event})
        case ReactionWithdrawn():
            return Reactions(others)
    assert_never(event)


FOLD: Fold[Reactions, ReactionFact] = Fold(
    initial=Reactions(),
    evolve=evolve,
    codec=Codec[ReactionFact]([ReactionAdded, ReactionWithdrawn]),
    state_type=Reactions,
)
