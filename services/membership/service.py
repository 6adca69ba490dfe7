"""What membership can do for people: found, launch, join, leave, and read. Each use case builds one command, or reads."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils import uuid7

from services.membership import community, invitation, member, places, readmodels, referral, resources
from services.membership.answers import COMMUNITIES, answer, member_decision
from services.membership.events import Charter
from services.membership.invitations import Invitations
from services.membership.joining import Asked, Joining, refer
from services.membership.lookups import ActiveMembers
from services.membership.reading import Limits, known_community, require_right
from services.membership.sponsors import Codes, Sponsors
from services.membership.staff import Staff
from services.membership.streams import community_stream, member_stream, places_stream, referral_stream
from shared.commands.command import Command, Decision, Done, IdempotencyKey, Known, Stream
from shared.commands.gateway import ROUNDS, Gateway
from shared.errors import Forbidden, NotFound
from shared.messaging.progress import Progress
from shared.observability.traces import current_traceparent
from shared.permissions import Action

_ACTIVE_MEMBERS = ActiveMembers()


@dataclass(frozen=True)
class Membership:
    """The service. `organization` is always the caller's: what belongs to another one does not exist for it."""

    gateway: Gateway
    reader: AsyncEngine
    passed: Progress
    ready: Callable[[], Awaitable[list[str]]]

    @cached_property
    def staff(self) -> Staff:
        return Staff(self.gateway)

    @cached_property
    def _limits(self) -> Limits:
        return Limits(self.reader)

    @cached_property
    def _sponsors(self) -> Sponsors:
        return Sponsors(self.reader)

    @cached_property
    def invitations(self) -> Invitations:
        return Invitations(self.gateway, self.reader)

    async def found(
        self,
        charter: Charter,
        *,
        organization: str,
        person: str,
        occurred_at: datetime | None,
        importing: bool,
        key: IdempotencyKey,
    ) -> Done:
        """Found a community; the founder is its owner and first member."""
        id, join = str(uuid7()), str(uuid7())
        own, membership = community_stream(id), member_stream(id, person)
        places_of, bound = places_stream(id), referral_stream(organization, person)

        def decide(known: Known) -> Decision:
            now = known.recorded_at
            command = community.Found(
                organization=organization,
                community=id,
                founder=person,
                charter=charter,
                occurred_at=occurred_at,
                importing=importing,
                now=now,
            )
            founded = community.found(command, known.state(own))
            state = community.known(community.FOLD.of(founded), organization=organization)
            referred = refer(known, state, person=person, join=join)
            after = referral.FOLD.of(referred, known.state(bound))
            started = member.start(state, join=join, referral=after.status, referrer=after.referrer)
            events: dict[Stream[Any], Sequence[Any]] = {own: founded, membership: started, bound: referred}
            if charter.capacity is not None:
                take = places.TakePlace(community=id, person=person, capacity=charter.capacity, now=now)
                events[places_of] = places.take(take, known.state(places_of))
            resource = resources.Community.of(state, len(founded))
            return Decision(answer(201, resource, location=f"{COMMUNITIES}/{id}"), events)

        writes = (own, membership, bound) if charter.capacity is None else (own, membership, bound, places_of)
        return await self._run(decide, writes=writes, key=key)

    async def launch(self, id: str, *, organization: str, person: str, key: IdempotencyKey) -> Done:
        """Open a draft to the public."""
        own, membership = community_stream(id), member_stream(id, person)

        def decide(known: Known) -> Decision:
            command = community.Launch(
                organization=organization,
                person=person,
                roles=member.roles_of(known.state(membership)),
                members=known.found(_ACTIVE_MEMBERS, id) or 0,
                now=known.recorded_at,
            )
            launched = community.launch(command, known.state(own))
            state = community.known(community.FOLD.of(launched, known.state(own)), organization=organization)
            resource = resources.Community.of(state, known.version(own) + len(launched))
            return Decision(answer(200, resource), {own: launched})

        return await self._run(decide, writes=(own,), reads=(membership,), lookups=((_ACTIVE_MEMBERS, id),), key=key)

    async def join(
        self, id: str, asked: Asked, *, organization: str, person: str, importing: bool, key: IdempotencyKey
    ) -> Done:
        """Become a member, or return as one; an active member is answered with the membership as it is.

        Raises:
            RootMoved: as often as it was tried, somebody above the inviter got a referrer meanwhile.
        """
        limited = await self._limits.limited(id, organization)
        join, rounds = str(uuid7()), 0
        while True:
            sponsor = await self._sponsors.of(Codes(organization, asked.invitation, asked.share_code))
            if sponsor is None and asked.invitation is not None:
                raise invitation.not_found()
            joining = Joining(id, organization, person, join, asked, sponsor, importing, limited)
            try:
                return await self.gateway.run(joining.command(key))
            except referral.RootMoved:
                rounds += 1
                if rounds == ROUNDS:
                    raise

    async def leave(self, id: str, *, organization: str, person: str, key: IdempotencyKey) -> Done:
        """Stop being a member; the place is free again at once."""
        own, membership, places_of = community_stream(id), member_stream(id, person), places_stream(id)

        def decide(known: Known) -> Decision:
            now = known.recorded_at
            state = community.known(known.state(own), organization=organization)
            left = member.leave(member.Leave(person=person, now=now), state, known.state(membership))
            events: dict[Stream[Any], Sequence[Any]] = {membership: left}
            if left and state.founded.charter.capacity is not None:
                events[places_of] = places.free(places.FreePlace(community=id, person=person, now=now))
            return member_decision(known, membership, left, events)

        writes = (membership, places_of) if await self._limits.limited(id, organization) else (membership,)
        return await self._run(decide, writes=writes, reads=(own,), key=key)

    async def community(self, id: str, *, organization: str) -> readmodels.CommunityRow:
        """Raises NotFound: unknown, or of another organization."""
        return await known_community(self.reader, id, organization)

    async def communities(
        self, *, organization: str, before: UUID | None, limit: int
    ) -> Sequence[readmodels.CommunityRow]:
        return await readmodels.communities(self.reader, organization, before=before, limit=limit)

    async def member(self, id: str, person: str, *, organization: str, reading: str | None) -> readmodels.MemberRow:
        """One membership. `reading`: the person who asks, of itself or as an active member; None: a machine."""
        await self.community(id, organization=organization)
        if reading != person:
            await require_right(self.reader, id, reading, Action.READ_MEMBERS)
        row = await readmodels.member(self.reader, UUID(id), person)
        if row is None:
            raise NotFound("member-not-found", "This person never was a member of the community.")
        return row

    async def members(
        self, id: str, *, organization: str, reading: str | None, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[readmodels.MemberRow]:
        """Active members by the time they joined. `reading`: as for `member`."""
        await self.community(id, organization=organization)
        await require_right(self.reader, id, reading, Action.READ_MEMBERS)
        return await readmodels.members(self.reader, UUID(id), after=after, limit=limit)

    async def referral(self, person: str, *, organization: str, reading: str | None) -> readmodels.Binding:
        """Who brought the person into the organization. `reading`: the person who asks; None: a machine."""
        if reading is not None and reading != person:
            raise Forbidden("not-your-own", "People read their own referral; others' need the scope import.")
        return await readmodels.referral(self.reader, organization, person)

    async def _run(self, decide: Callable[[Known], Decision], *, key: IdempotencyKey, **streams: Any) -> Done:
        return await self.gateway.run(Command(decide, idempotency=key, traceparent=current_traceparent(), **streams))
