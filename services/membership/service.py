"""What membership can do: each use case builds one command for the gateway, or reads."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils import uuid7

from services.membership import community, member, places, readmodels, resources
from services.membership.events import Charter
from services.membership.lookups import ActiveMembers
from shared.commands.command import Answer, Command, Decision, Done, IdempotencyKey, Known, Stream
from shared.commands.gateway import Gateway
from shared.errors import Forbidden, NotFound
from shared.http.etags import etag
from shared.messaging.progress import Progress
from shared.observability.traces import current_traceparent

PATH = "/membership/v1/communities"

_ACTIVE_MEMBERS = ActiveMembers()
_REMEMBERED = 100_000


@dataclass(frozen=True)
class Membership:
    """The service. `organization` is always the caller's: what belongs to another one does not exist for it."""

    gateway: Gateway
    reader: AsyncEngine
    passed: Progress
    ready: Callable[[], Awaitable[list[str]]]
    _limited: dict[str, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

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
        id = str(uuid7())
        own, membership, places_of = _streams(id, person)

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
            events: dict[Stream[Any], Sequence[Any]] = {own: founded, membership: member.start(state)}
            if charter.capacity is not None:
                take = places.TakePlace(community=id, person=person, capacity=charter.capacity, now=now)
                events[places_of] = places.take(take, known.state(places_of))
            answer = _answer(201, resources.Community.of(state, len(founded)), location=f"{PATH}/{id}")
            return Decision(answer, events)

        writes = (own, membership) if charter.capacity is None else (own, membership, places_of)
        return await self._run(decide, writes=writes, key=key)

    async def launch(self, id: str, *, organization: str, person: str, key: IdempotencyKey) -> Done:
        """Open a draft to the public."""
        own, _, _ = _streams(id, person)

        def decide(known: Known) -> Decision:
            members = known.found(_ACTIVE_MEMBERS, id) or 0
            command = community.Launch(organization=organization, person=person, members=members, now=known.recorded_at)
            launched = community.launch(command, known.state(own))
            state = community.known(community.FOLD.of(launched, known.state(own)), organization=organization)
            resource = resources.Community.of(state, known.version(own) + len(launched))
            return Decision(_answer(200, resource), {own: launched})

        return await self._run(decide, writes=(own,), lookups=((_ACTIVE_MEMBERS, id),), key=key)

    async def join(
        self,
        id: str,
        *,
        organization: str,
        person: str,
        occurred_at: datetime | None,
        importing: bool,
        key: IdempotencyKey,
    ) -> Done:
        """Become a member, or return as one; an active member is answered with the membership as it is."""
        own, membership, places_of = _streams(id, person)

        def decide(known: Known) -> Decision:
            now = known.recorded_at
            state = community.known(known.state(own), organization=organization)
            before = known.state(membership)
            command = member.Join(person=person, occurred_at=occurred_at, importing=importing, now=now)
            joined = member.join(command, state, before)
            events: dict[Stream[Any], Sequence[Any]] = {membership: joined}
            capacity = state.founded.charter.capacity
            if joined and capacity is not None:
                take = places.TakePlace(community=id, person=person, capacity=capacity, now=now)
                events[places_of] = places.take(take, known.state(places_of))
            return _member_decision(known, membership, joined, events, location=f"{PATH}/{id}/members")

        writes = await self._member_writes(id, organization, membership, places_of)
        return await self._run(decide, writes=writes, reads=(own,), key=key)

    async def leave(self, id: str, *, organization: str, person: str, key: IdempotencyKey) -> Done:
        """Stop being a member; the place is free again at once."""
        own, membership, places_of = _streams(id, person)

        def decide(known: Known) -> Decision:
            now = known.recorded_at
            state = community.known(known.state(own), organization=organization)
            left = member.leave(member.Leave(person=person, now=now), state, known.state(membership))
            events: dict[Stream[Any], Sequence[Any]] = {membership: left}
            if left and state.founded.charter.capacity is not None:
                events[places_of] = places.free(places.FreePlace(community=id, person=person, now=now))
            return _member_decision(known, membership, left, events)

        writes = await self._member_writes(id, organization, membership, places_of)
        return await self._run(decide, writes=writes, reads=(own,), key=key)

    async def community(self, id: str, *, organization: str) -> readmodels.CommunityRow:
        """Raises NotFound: unknown, or of another organization."""
        row = await readmodels.community(self.reader, UUID(id))
        if row is None or row.organization != organization:
            raise community.not_found()
        return row

    async def communities(
        self, *, organization: str, before: UUID | None, limit: int
    ) -> Sequence[readmodels.CommunityRow]:
        return await readmodels.communities(self.reader, organization, before=before, limit=limit)

    async def member(self, id: str, person: str, *, organization: str, reading: str | None) -> readmodels.MemberRow:
        """One membership. `reading`: the person who asks, of itself or as an active member; None: a machine."""
        await self.community(id, organization=organization)
        if reading != person:
            await self._require_member(id, reading)
        row = await readmodels.member(self.reader, UUID(id), person)
        if row is None:
            raise NotFound("member-not-found", "This person never was a member of the community.")
        return row

    async def members(
        self, id: str, *, organization: str, reading: str | None, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[readmodels.MemberRow]:
        """Active members by the time they joined. `reading`: as for `member`."""
        await self.community(id, organization=organization)
        await self._require_member(id, reading)
        return await readmodels.members(self.reader, UUID(id), after=after, limit=limit)

    async def _require_member(self, id: str, person: str | None) -> None:
        if person is None:
            return
        row = await readmodels.member(self.reader, UUID(id), person)
        if row is None or row.left_at is not None:
            raise Forbidden("not-a-member", "Only active members of the community may do this. Join it first.")

    async def _member_writes(
        self, id: str, organization: str, membership: Stream[Any], places_of: Stream[Any]
    ) -> tuple[Stream[Any], ...]:
        """The streams that a join or leave writes. The places are a hot stream, so only where there is a capacity."""
        if id not in self._limited:
            row = await self.community(id, organization=organization)
            if len(self._limited) >= _REMEMBERED:
                self._limited.clear()
            self._limited[id] = row.capacity is not None  # for good: a capacity is laid down at the founding
        return (membership, places_of) if self._limited[id] else (membership,)

    async def _run(self, decide: Callable[[Known], Decision], *, key: IdempotencyKey, **streams: Any) -> Done:
        return await self.gateway.run(Command(decide, idempotency=key, traceparent=current_traceparent(), **streams))


def _streams(id: str, person: str) -> tuple[Stream[community.State], Stream[member.State], Stream[places.Places]]:
    """A community's own stream, a person's in it, and its places."""
    return (
        Stream(f"community-{id}", community.FOLD),
        Stream(f"member-{id}-{person}", member.FOLD),
        Stream(f"places-{id}", places.FOLD),
    )


def _member_decision(
    known: Known,
    membership: Stream[member.State],
    changes: Sequence[Any],
    events: Mapping[Stream[Any], Sequence[Any]],
    *,
    location: str | None = None,
) -> Decision:
    state = member.FOLD.of(changes, known.state(membership))
    assert not isinstance(state, member.Stranger)
    resource = resources.Member.of(state, known.version(membership) + len(changes))
    if changes and location is not None:
        return Decision(_answer(201, resource, location=f"{location}/{quote(resource.person, safe='')}"), events)
    return Decision(_answer(200, resource), events)


def _answer(status: int, resource: resources.Community | resources.Member, *, location: str | None = None) -> Answer:
    headers = {"ETag": etag(resource.version)}
    if location is not None:
        headers["Location"] = location
    return Answer(status, resource.model_dump_json().encode(), headers)
