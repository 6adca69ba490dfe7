"""Who runs a community: roles are granted and revoked, and the ownership is passed on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.membership import community, member, resources, roles
from services.membership.answers import answer, member_decision
from services.membership.streams import community_stream, member_stream
from shared.commands.command import Command, Decision, Done, IdempotencyKey, Known, Stream
from shared.commands.gateway import Gateway
from shared.observability.traces import current_traceparent
from shared.permissions import Role


@dataclass(frozen=True)
class Staff:
    """Use cases of the staff. `organization` and `by` are the caller's."""

    gateway: Gateway

    async def grant(self, id: str, person: str, role: Role, *, organization: str, by: str, key: IdempotencyKey) -> Done:
        """Give a member a role."""
        return await self._change(id, person, role, grant=True, organization=organization, by=by, key=key)

    async def revoke(self, id: str, person: str, role: Role, *, organization: str, by: str) -> Done:
        """Take a role from a member."""
        return await self._change(id, person, role, grant=False, organization=organization, by=by, key=None)

    async def _change(
        self,
        id: str,
        person: str,
        role: Role,
        *,
        grant: bool,
        organization: str,
        by: str,
        key: IdempotencyKey | None,
    ) -> Done:
        own, membership, acting = community_stream(id), member_stream(id, person), member_stream(id, by)

        def decide(known: Known) -> Decision:
            state = community.known(known.state(own), organization=organization)
            held = member.roles_of(known.state(acting))
            command = roles.ChangeRole(role=role, by=by, roles=held, now=known.recorded_at)
            change = roles.grant if grant else roles.revoke
            return member_decision(known, membership, change(command, state, known.state(membership)))

        reads = (own,) if person == by else (own, acting)
        return await self.gateway.run(
            Command(decide, writes=(membership,), reads=reads, idempotency=key, traceparent=current_traceparent())
        )

    async def transfer(self, id: str, *, to: str, organization: str, by: str, key: IdempotencyKey) -> Done:
        """Make another member the owner; the previous one becomes an admin. All three streams change together, so there
        is exactly one owner at any time."""
        own, before, after = community_stream(id), member_stream(id, by), member_stream(id, to)

        def decide(known: Known) -> Decision:
            state = community.known(known.state(own), organization=organization)
            held = member.roles_of(known.state(before))
            command = community.Transfer(organization=organization, person=by, roles=held, to=to, now=known.recorded_at)
            transferred = community.transfer(command, state)
            resource = resources.Community.of(
                community.known(community.FOLD.of(transferred, state), organization=organization),
                known.version(own) + len(transferred),
            )
            if not transferred:
                return Decision(answer(200, resource))
            (fact,) = transferred
            events: dict[Stream[Any], Sequence[Any]] = {
                own: transferred,
                before: roles.give_up(fact, known.state(before)),
                after: roles.take_over(fact, known.state(after)),
            }
            return Decision(answer(200, resource), events)

        writes = (own, before) if by == to else (own, before, after)
        return await self.gateway.run(
            Command(decide, writes=writes, idempotency=key, traceparent=current_traceparent())
        )
