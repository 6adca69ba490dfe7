"""Who brought a person into an organization: bound once, by the first join that has an inviter, and never in a loop.

The bindings of an organization are a forest: only who has no referrer, a root, can still get one. A binding is decided
while the joiner's stream is held alone and the stream of the root above the inviter is held shared. That root being
still unbound, everything between it and the inviter is as it was read, since bindings never change.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias, assert_never

import msgspec

from services.membership.events import (
    ReferralAbsent,
    ReferralBound,
    ReferralDeferred,
    ReferralFact,
    ReferrerTaken,
)
from shared.codec import Codec
from shared.decider import Fold
from shared.errors import Unavailable
from shared.moments import moment

NONE, BOUND, PENDING = "none", "bound", "pending"


class Sponsor(msgspec.Struct, frozen=True):
    """The owner of a code, and the root above, as read before the streams were held. The root may be the inviter."""

    inviter: str
    root: str


class Refer(msgspec.Struct, frozen=True, kw_only=True):
    """A join, as far as it may bind.

    Attributes:
        sponsor: whose code it carries; None: it has no code, or one that is not known yet.
        share_code: that it carries, known or not.
    """

    organization: str
    community: str
    zone: str
    currency: str
    person: str
    join: str
    sponsor: Sponsor | None
    share_code: str | None
    now: datetime


class Settle(msgspec.Struct, frozen=True, kw_only=True):
    """Settle the deferred joins of a person.

    Attributes:
        sponsors: by join: whose code it carried; None: nobody's, for sure. A join that is missing cannot be settled yet.
    """

    person: str
    sponsors: Mapping[str, Sponsor | None]
    now: datetime


class Referral(msgspec.Struct, frozen=True, kw_only=True):
    """A person's binding in an organization. `deferred`: joins that wait to be settled, in commit order."""

    referrer: str | None = None
    deferred: tuple[ReferralDeferred, ...] = ()

    @property
    def status(self) -> str:
        if self.referrer is not None:
            return BOUND
        return PENDING if self.deferred else NONE


Roots: TypeAlias = Mapping[str, Referral]
"""The roots that sponsors name, as they are now that they are held."""


class RootMoved(Unavailable):
    """The root above an inviter has got a referrer since it was read: read again, and decide in a later batch."""


def refer(command: Refer, state: Referral, roots: Roots) -> list[ReferralFact]:
    """Bind who joins, or defer that; nothing to do for who is bound already, has no inviter, or would close a loop.

    Raises:
        RootMoved: decide it again.
    """
    if state.referrer is not None:
        return []
    sponsor = command.sponsor
    if state.deferred or (sponsor is None and command.share_code is not None):
        return [_deferred(command)]
    if sponsor is None or obstacle(command.person, sponsor, roots) is not None:
        return []
    return [
        ReferrerTaken(
            organization=command.organization,
            person=command.person,
            join=command.join,
            referrer=sponsor.inviter,
            occurred_at=command.now,
        )
    ]


def settle(command: Settle, state: Referral, roots: Roots) -> list[ReferralFact]:
    """Settle all deferred joins, one fact each, or none of them as long as one that matters is not known yet.

    Raises:
        RootMoved: decide it again.
    """
    facts: list[ReferralFact] = []
    bound = False
    for join in state.deferred:
        if not bound and join.join not in command.sponsors:
            return []
        outcome = "bound-already" if bound else _outcome(join, command, roots)
        if isinstance(outcome, Sponsor):
            facts.append(_bound(join, outcome.inviter, command.now))
            bound = True
        else:
            facts.append(_absent(join, outcome, command.now))
    return facts


def _outcome(join: ReferralDeferred, command: Settle, roots: Roots) -> Sponsor | str:
    """Who becomes the referrer, or why nobody does."""
    sponsor = command.sponsors[join.join]
    if sponsor is None:
        return "no-inviter" if join.share_code is None else "code-unknown"
    return obstacle(command.person, sponsor, roots) or sponsor


def obstacle(person: str, sponsor: Sponsor, roots: Roots) -> str | None:
    """Why the sponsor cannot become the referrer of `person`, who has none: `own-code`, `loop`, or None.

    Raises:
        RootMoved: decide it again.
    """
    if sponsor.inviter == person:
        return "own-code"
    if sponsor.root == person:
        return "loop"
    if sponsor.root not in roots or roots[sponsor.root].referrer is not None:
        raise RootMoved("busy", "Others are joining through the same people. Try again.")
    return None


def _deferred(command: Refer) -> ReferralDeferred:
    return ReferralDeferred(
        organization=command.organization,
        community=command.community,
        zone=command.zone,
        currency=command.currency,
        person=command.person,
        join=command.join,
        inviter=None if command.sponsor is None else command.sponsor.inviter,
        share_code=command.share_code,
        recorded_at=command.now,
        occurred_at=command.now,
    )


def _bound(join: ReferralDeferred, referrer: str, now: datetime) -> ReferralBound:
    occurred_at, local_day = moment(None, now=now, importing=False, zone=join.zone)
    return ReferralBound(
        organization=join.organization,
        community=join.community,
        zone=join.zone,
        currency=join.currency,
        person=join.person,
        join=join.join,
        referrer=referrer,
        joined_recorded_at=join.recorded_at,
        occurred_at=occurred_at,
        local_day=local_day,
    )


def _absent(join: ReferralDeferred, reason: str, now: datetime) -> ReferralAbsent:
    occurred_at, local_day = moment(None, now=now, importing=False, zone=join.zone)
    return ReferralAbsent(
        organization=join.organization,
        community=join.community,
        zone=join.zone,
        currency=join.currency,
        person=join.person,
        join=join.join,
        reason=reason,
        occurred_at=occurred_at,
        local_day=local_day,
    )


def evolve(state: Referral, event: ReferralFact) -> Referral:
    match event:
        case ReferrerTaken():
            return Referral(referrer=event.referrer, deferred=state.deferred)
        case ReferralDeferred():
            return Referral(referrer=state.referrer, deferred=(*state.deferred, event))
        case ReferralBound():
            return Referral(referrer=event.referrer, deferred=_without(state, event.join))
        case ReferralAbsent():
            return Referral(referrer=state.referrer, deferred=_without(state, event.join))
    assert_never(event)


def _without(state: Referral, join: str) -> tuple[ReferralDeferred, ...]:
    return tuple(deferred for deferred in state.deferred if deferred.join != join)


FOLD: Fold[Referral, ReferralFact] = Fold(
    initial=Referral(),
    evolve=evolve,
    codec=Codec[ReferralFact]([ReferrerTaken, ReferralDeferred, ReferralBound, ReferralAbsent]),
    state_type=Referral,
)
