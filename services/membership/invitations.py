"""Invitations: made by members, read by anybody of the organization who has the code."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from services.membership import community, invitation, member, readmodels, resources
from services.membership.answers import INVITATIONS, answer
from services.membership.reading import known_community, roles_of
from services.membership.streams import community_stream, invitation_stream, member_stream
from shared.codes import new_code
from shared.commands.command import Command, Decision, Done, IdempotencyKey, Known
from shared.commands.gateway import Gateway
from shared.observability.traces import current_traceparent
from shared.permissions import Action, allowed, require


@dataclass(frozen=True)
class Invitations:
    """Use cases of invitations. `organization` is always the caller's."""

    gateway: Gateway
    reader: AsyncEngine

    async def invite(
        self,
        id: str,
        *,
        max_uses: int | None,
        expires_at: datetime | None,
        organization: str,
        person: str,
        key: IdempotencyKey,
    ) -> Done:
        """Make an invitation to a community."""
        code = new_code()
        own, membership, made = community_stream(id), member_stream(id, person), invitation_stream(code)

        def decide(known: Known) -> Decision:
            state = community.known(known.state(own), organization=organization)
            command = invitation.Invite(
                invitation=code,
                inviter=person,
                roles=member.roles_of(known.state(membership)),
                max_uses=max_uses,
                expires_at=expires_at,
                now=known.recorded_at,
            )
            created = invitation.invite(command, state, known.state(made))
            resource = resources.Invitation.of(invitation.FOLD.of(created), now=known.recorded_at)
            return Decision(answer(201, resource, location=f"{INVITATIONS}/{code}"), {made: created})

        return await self.gateway.run(
            Command(
                decide,
                writes=(made,),
                reads=(own, membership),
                idempotency=key,
                traceparent=current_traceparent(),
            )
        )

    async def read(self, code: str | None, *, organization: str) -> readmodels.InvitationRow:
        """One invitation. `code`: None for what cannot be one.

        Raises:
            NotFound: unknown, or of another organization.
        """
        row = None if code is None else await readmodels.invitation(self.reader, code)
        if row is None or row.organization != organization:
            raise invitation.not_found()
        return row

    async def of_community(
        self,
        id: str,
        *,
        organization: str,
        reading: str | None,
        before: tuple[datetime, str] | None,
        limit: int,
    ) -> Sequence[readmodels.InvitationRow]:
        """Invitations to a community, newest first, older than `before` (created_at, code): the own ones of a member, all
        for staff and machines. `reading`: the person who asks; None: a machine."""
        await known_community(self.reader, id, organization)
        inviter = None
        if reading is not None:
            roles = await roles_of(self.reader, id, reading)
            require(Action.CREATE_INVITATION, roles)
            inviter = None if allowed(Action.READ_INVITATIONS_OF_OTHERS, roles) else reading
        return await readmodels.invitations(self.reader, UUID(id), inviter=inviter, before=before, limit=limit)

    async def address(self, code: str | None, *, organization: str) -> str:
        """What the QR code of an invitation says: the community's landing page with the code, or the bare code, which
        can be typed, where there is no such page."""
        row = await self.read(code, organization=organization)
        return landing(await readmodels.landing_url(self.reader, row.community), row.code)


def landing(url: str | None, code: str) -> str:
    """The landing page with `?invitation=<code>`, beside what else its query holds; without a page the code."""
    if url is None:
        return code
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "invitation"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("invitation", code)])))
