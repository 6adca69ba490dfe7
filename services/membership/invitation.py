"""An invitation: a code that a member gives to others. How often it is used is exact under parallel joins."""

from collections.abc import Collection
from datetime import datetime
from typing import TypeAlias, assert_never

import msgspec

from services.membership.community import Community
from services.membership.events import InvitationCreated, InvitationFact, InvitationUsed
from shared.codec import Codec
from shared.decider import Fold
from shared.errors import Conflict, Invalid, NotFound, Unavailable
from shared.moments import moment
from shared.permissions import Action, require


class Invite(msgspec.Struct, frozen=True, kw_only=True):
    """Make an invitation.

    Attributes:
        roles: that the inviter has in the community.
        max_uses, expires_at: None: no limit.
    """

    invitation: str
    inviter: str
    roles: Collection[str]
    max_uses: int | None
    expires_at: datetime | None
    now: datetime


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Join `community` with it."""

    community: str
    person: str
    join: str
    now: datetime


class Unmade(msgspec.Struct, frozen=True, tag="unmade"):
    """There is no such invitation."""


class Invitation(msgspec.Struct, frozen=True, kw_only=True, tag="invitation"):
    """An invitation, and how often it was used."""

    created: InvitationCreated
    uses: int = 0


State: TypeAlias = Unmade | Invitation


def invite(command: Invite, community: Community, state: State) -> list[InvitationFact]:
    """Make the invitation.

    Raises:
        Forbidden: `not-a-member`, `role-missing`.
        Invalid: `expires-in-the-past`.
        Unavailable: `code-taken`: another invitation has the code; try again with another one.
    """
    require(Action.CREATE_INVITATION, command.roles)
    if isinstance(state, Invitation):
        raise Unavailable("code-taken", "The code drawn for it was drawn before. Try again.")
    if command.expires_at is not None and command.expires_at <= command.now:
        raise Invalid("expires-in-the-past", "expires_at must lie in the future.")
    founded = community.founded
    occurred_at, local_day = moment(None, now=command.now, importing=False, zone=founded.charter.zone)
    return [
        InvitationCreated(
            organization=founded.organization,
            community=founded.community,
            zone=founded.charter.zone,
            currency=founded.charter.currency,
            invitation=command.invitation,
            inviter=command.inviter,
            max_uses=command.max_uses,
            expires_at=command.expires_at,
            occurred_at=occurred_at,
            local_day=local_day,
        )
    ]


def use(command: Use, state: State) -> list[InvitationFact]:
    """Use it for one join.

    Raises:
        NotFound: `invitation-not-found`.
        Invalid: `invitation-elsewhere`: it opens another community.
        Conflict: `invitation-expired`, `invitation-used-up`.
    """
    if isinstance(state, Unmade):
        raise not_found()
    created = state.created
    if created.community != command.community:
        raise Invalid("invitation-elsewhere", "This invitation is to another community.", community=created.community)
    if expired(created.expires_at, command.now):
        raise Conflict("invitation-expired", "This invitation has expired. Ask for a new one.")
    if used_up(created.max_uses, state.uses):
        raise Conflict("invitation-used-up", "This invitation was used as often as it may be. Ask for a new one.")
    return [
        InvitationUsed(
            invitation=created.invitation,
            person=command.person,
            join=command.join,
            uses=state.uses + 1,
            occurred_at=command.now,
        )
    ]


def expired(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is not None and expires_at <= now


def used_up(max_uses: int | None, uses: int) -> bool:
    return max_uses is not None and uses >= max_uses


def not_found() -> NotFound:
    return NotFound("invitation-not-found", "There is no such invitation.")


def evolve(state: State, event: InvitationFact) -> State:
    match event:
        case InvitationCreated():
            return Invitation(created=event)
        case InvitationUsed() if isinstance(state, Invitation):
            return msgspec.structs.replace(state, uses=event.uses)
        case InvitationUsed():
            return state
    assert_never(event)


FOLD: Fold[State, InvitationFact] = Fold(
    initial=Unmade(),
    evolve=evolve,
    codec=Codec[InvitationFact]([InvitationCreated, InvitationUsed]),
    state_type=State,
    snapshot_every=100,
)
