"""A join: one command over the person's membership and binding, the invitation, and the places of the community."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from services.membership import community, invitation, member, places, referral
from services.membership.answers import member_decision
from services.membership.events import ReferralFact, Touchpoint
from services.membership.referral import Sponsor
from services.membership.streams import (
    community_stream,
    invitation_stream,
    member_stream,
    places_stream,
    referral_stream,
)
from shared.commands.command import Command, Decision, IdempotencyKey, Known, Stream
from shared.observability.traces import current_traceparent


class Asked(NamedTuple):
    """How somebody wants to join. At most one of the codes; `occurred_at` None: now."""

    invitation: str | None = None
    share_code: str | None = None
    touchpoint: Touchpoint | None = None
    occurred_at: datetime | None = None


class Joining(NamedTuple):
    """One join.

    Attributes:
        join: its UUID.
        sponsor: owner of the code asked with, as read before; None: no code, or a share code not known yet.
        limited: the community has a capacity.
    """

    community: str
    organization: str
    person: str
    join: str
    asked: Asked
    sponsor: Sponsor | None
    importing: bool
    limited: bool

    def command(self, key: IdempotencyKey) -> Command:
        """The command that joins. The stream of the root above the inviter is held shared, the person's own alone."""
        writes: list[Stream[Any]] = [self._membership, self._referral]
        if self.limited:
            writes.append(places_stream(self.community))
        if self.asked.invitation is not None:
            writes.append(invitation_stream(self.asked.invitation))
        return Command(
            self.decide,
            writes=tuple(writes),
            reads=(
                community_stream(self.community),
                *root_streams(self.organization, self.person, [self.sponsor]).values(),
            ),
            idempotency=key,
            traceparent=current_traceparent(),
        )

    def decide(self, known: Known) -> Decision:
        state = community.known(known.state(community_stream(self.community)), organization=self.organization)
        before = known.state(self._membership)
        if isinstance(before, member.Active):
            return member_decision(known, self._membership, ())
        referred = refer(
            known,
            state,
            person=self.person,
            join=self.join,
            sponsor=self.sponsor,
            share_code=self.asked.share_code,
        )
        after = referral.FOLD.of(referred, known.state(self._referral))
        command = member.Join(
            person=self.person,
            join=self.join,
            invitation=self.asked.invitation,
            share_code=self.asked.share_code,
            inviter=None if self.sponsor is None else self.sponsor.inviter,
            touchpoint=self.asked.touchpoint,
            referral=after.status,
            referrer=after.referrer,
            occurred_at=self.asked.occurred_at,
            importing=self.importing,
            now=known.recorded_at,
        )
        joined = member.join(command, state, before)
        events: dict[Stream[Any], Sequence[Any]] = {self._membership: joined, self._referral: referred}
        events |= self._use(known)
        capacity = state.founded.charter.capacity
        if capacity is not None:
            take = places.TakePlace(
                community=self.community, person=self.person, capacity=capacity, now=known.recorded_at
            )
            events[places_stream(self.community)] = places.take(take, known.state(places_stream(self.community)))
        return member_decision(known, self._membership, joined, events)

    def _use(self, known: Known) -> Mapping[Stream[Any], Sequence[Any]]:
        if self.asked.invitation is None:
            return {}
        stream = invitation_stream(self.asked.invitation)
        use = invitation.Use(community=self.community, person=self.person, join=self.join, now=known.recorded_at)
        return {stream: invitation.use(use, known.state(stream))}

    @property
    def _membership(self) -> Stream[member.State]:
        return member_stream(self.community, self.person)

    @property
    def _referral(self) -> Stream[referral.Referral]:
        return referral_stream(self.organization, self.person)


def refer(
    known: Known,
    state: community.Community,
    *,
    person: str,
    join: str,
    sponsor: Sponsor | None = None,
    share_code: str | None = None,
) -> list[ReferralFact]:
    """What a join makes of the person's binding. The person's stream and those of `root_streams` are held."""
    founded = state.founded
    command = referral.Refer(
        organization=founded.organization,
        community=founded.community,
        zone=founded.charter.zone,
        currency=founded.charter.currency,
        person=person,
        join=join,
        sponsor=sponsor,
        share_code=share_code,
        now=known.recorded_at,
    )
    streams = root_streams(founded.organization, person, [sponsor])
    roots = {root: known.state(stream) for root, stream in streams.items()}
    return referral.refer(command, known.state(referral_stream(founded.organization, person)), roots)


def root_streams(
    organization: str, person: str, sponsors: Iterable[Sponsor | None]
) -> Mapping[str, Stream[referral.Referral]]:
    """The streams of the roots above the sponsors, but for the person's own: to be held shared by what may bind it."""
    roots = {sponsor.root for sponsor in sponsors if sponsor is not None}
    return {root: referral_stream(organization, root) for root in sorted(roots - {person})}
