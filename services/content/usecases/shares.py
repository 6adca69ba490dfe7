"""Shares: share something, follow the tree."""

import contextlib
from collections.abc import Mapping, Sequence
from uuid import UUID

from uuid_utils import uuid7

from services.content import readmodels, resources, share
from services.content.arrivals import Arrivals
from services.content.tallies import Counts
from services.content.usecases.desk import STANDINGS, Desk, answer, post_stream, share_stream, standing_of
from shared.codes import new_code
from shared.commands.command import Decision, Done, IdempotencyKey, Known
from shared.errors import Unavailable
from shared.http.callers import Person

PATH = "/content/v1/shares"

_ARRIVALS = Arrivals()
_DRAWS = 5


class Shares(Desk):
    """The use cases of shares."""

    async def add(self, community: str, wanted: share.Wanted, *, by: Person, site: str, key: IdempotencyKey) -> Done:
        """Share something in a community.

        Args:
            site: where this system is, for the short link: scheme and host.
        """
        for _ in range(_DRAWS):
            with contextlib.suppress(share.CodeTaken):
                return await self._share(community, new_code(), wanted, by=by, site=site, key=key)
        raise Unavailable("no-code-free", "No free code was found. Try again.")

    async def _share(
        self, community: str, code: str, wanted: share.Wanted, *, by: Person, site: str, key: IdempotencyKey
    ) -> Done:
        own, arriving = share_stream(code), (by.organization, by.person)
        target = post_stream(wanted.target) if wanted.target_kind == "post" else None
        parent = share_stream(wanted.parent) if wanted.parent is not None else None

        def decide(known: Known) -> Decision:
            shared = share.share(
                share.Share(
                    share=str(uuid7()),
                    code=code,
                    sharer=by.person,
                    wanted=wanted,
                    importing=by.importing,
                    now=known.recorded_at,
                ),
                standing_of(known, community, by.person, by.organization),
                known.state(own),
                target=known.state(target) if target is not None else None,
                parent=known.state(parent) if parent is not None else None,
                arrival=known.found(_ARRIVALS, arriving),
            )
            resource = resources.Share.of(shared[0], site=site)
            return Decision(answer(201, resource, location=f"{PATH}/{code}"), {own: shared})

        return await self.run(
            decide,
            writes=(own,),
            reads=tuple(stream for stream in (target, parent) if stream is not None),
            lookups=((STANDINGS, (community, by.person)), (_ARRIVALS, arriving)),
            key=key,
        )

    async def read(self, code: str, *, organization: str, reading: str | None) -> tuple[readmodels.ShareRow, Counts]:
        """One share. `reading`: the person who asks, who must be an active member of its community; None: a machine."""
        row = await readmodels.share(self.reader, code)
        if row is None or row.organization != organization:
            raise share.not_found()
        await self.require_reader(str(row.community), organization, reading)
        return row, (await readmodels.counts(self.reader, [code])).get(code, {})

    async def children(
        self, code: str, *, organization: str, reading: str | None, after: UUID | None, limit: int
    ) -> tuple[Sequence[readmodels.ShareRow], Mapping[str, Counts]]:
        """Shares directly below one, in the order they were made, and what is counted of them. `reading`: as above."""
        await self.read(code, organization=organization, reading=reading)
        rows = await readmodels.children(self.reader, code, after=after, limit=limit)
        return rows, await readmodels.counts(self.reader, [row.code for row in rows])
