"""A share: a member brings something to a channel, under a code of its own; shares of those who came through it hang below it."""

from datetime import datetime, timedelta
from typing import TypeAlias

import msgspec

from services.content import post
from services.content.events import ContentShared
from services.content.stamps import stamp
from services.content.standing import Standing, require_writer
from shared.codec import Codec
from shared.decider import Fold
from shared.errors import Invalid, NotFound
from shared.permissions import Action

ARRIVAL_LASTS = timedelta(days=30)
"""How long after a visit a share still hangs below the share that was visited."""


class CodeTaken(Exception):
    """Another share has this code: draw another one."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A person's last visit that counts, whosesoever share it was of."""

    code: str
    occurred_at: datetime


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a member wants to share.

    Attributes:
        target: its id; of a product or campaign as it is given.
        parent: code of the share that the sharer names; None: what the last visit says.
        occurred_at: None: now.
    """

    target_kind: str
    target: str
    channel: str
    parent: str | None
    occurred_at: datetime | None


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Share something."""

    share: str
    code: str
    sharer: str
    wanted: Wanted
    importing: bool
    now: datetime


class Unshared(msgspec.Struct, frozen=True, tag="unshared"):
    """There is no such share."""


class Shared(msgspec.Struct, frozen=True, tag="shared"):
    """A share, for good."""

    shared: ContentShared


State: TypeAlias = Unshared | Shared


def share(
    command: Share,
    standing: Standing,
    state: State,
    *,
    target: post.State | None,
    parent: State | None,
    arrival: Arrival | None,
) -> list[ContentShared]:
    """Share something in the community of `standing`.

    A parent exists before its children and never changes, so the shares are trees.

    Args:
        target: the post, if it is one.
        parent: the share that the sharer names, if any.
        arrival: of the sharer.

    Raises:
        CodeTaken: somebody else has drawn this code.
        Forbidden: `not-a-member`, `occurred-at-not-allowed`.
        Conflict: `post-removed`, `post-hidden`, `community-not-launched`, `community-retired`.
        Invalid: `target-not-found`, `parent-not-found`, `parent-is-own`, `occurred-at-in-future`.
    """
    require_writer(standing, Action.SHARE)
    if isinstance(state, Shared):
        raise CodeTaken
    wanted = command.wanted
    stamped = stamp(standing, now=command.now, stated=wanted.occurred_at, importing=command.importing)
    _check_target(wanted, standing, target)
    if parent is not None:
        _check_parent(parent, command.sharer, standing.organization)
    return [
        ContentShared(
            **stamped,
            share=command.share,
            code=command.code,
            sharer=command.sharer,
            target_kind=wanted.target_kind,
            target=wanted.target,
            channel=wanted.channel,
            parent=wanted.parent or _arrived_through(arrival, stamped["occurred_at"]),
        )
    ]


def _check_target(wanted: Wanted, standing: Standing, target: post.State | None) -> None:
    elsewhere = Invalid("target-not-found", "The community has nothing of this kind and id to share.")
    if wanted.target_kind == "community" and wanted.target != standing.community:
        raise elsewhere
    if target is not None:
        if isinstance(target, post.Unpublished) or target.published.community != standing.community:
            raise elsewhere
        post.require_standing(target)


def _check_parent(parent: State, sharer: str, organization: str) -> None:
    if isinstance(parent, Unshared) or parent.shared.organization != organization:
        raise Invalid("parent-not-found", "There is no share with this code.")
    if parent.shared.sharer == sharer:
        raise Invalid("parent-is-own", "Nobody comes through a share of one's own; name another's, or none.")


def _arrived_through(arrival: Arrival | None, at: datetime) -> str | None:
    if arrival is None or not timedelta(0) <= at - arrival.occurred_at <= ARRIVAL_LASTS:
        return None
    return arrival.code


def not_found() -> NotFound:
    """The refusal for a share that is not there, or is another organization's: in the same words for both."""
    return NotFound("share-not-found", "There is no share with this code.")


def evolve(_: State, event: ContentShared) -> State:
    return Shared(event)


FOLD: Fold[State, ContentShared] = Fold(
    initial=Unshared(),
    evolve=evolve,
    codec=Codec[ContentShared]([ContentShared]),
    state_type=State,
)
