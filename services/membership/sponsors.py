"""Reads who owns a code, and the root above: what a command must know before it names its streams.

Bindings never change, so a root that is still unbound once its stream is held is still the root (referral.py).
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.membership.referral import Sponsor

MOST_AT_ONCE = 500

_ABOVE = """
above (number, organization, person) as (
    select number, organization, person
      from start
     union
    select above.number, above.organization, binding.referrer
      from above
      join referrals as binding on (binding.organization, binding.person) = (above.organization, above.person)
)
select start.number, start.person, above.person as root
  from start
  join above using (number)
 where not exists (select from referrals as binding
                    where (binding.organization, binding.person) = (above.organization, above.person))
"""

_OF_CODES = text(f"""
with recursive start (number, organization, person) as (
    select given.number, given.organization, coalesce(invitation.inviter, share.sharer)
      from unnest(cast(:organizations as text[]), cast(:invitations as text[]), cast(:share_codes as text[]))
           with ordinality as given (organization, invitation, share_code, number)
      left join invitations as invitation
        on (invitation.organization, invitation.code) = (given.organization, given.invitation)
      left join share_codes as share
        on (share.organization, share.code) = (given.organization, given.share_code)
     where coalesce(invitation.inviter, share.sharer) is not null
), {_ABOVE}
""")

_OF_PEOPLE = text(f"""
with recursive start (number, organization, person) as (
    select number, organization, person
      from unnest(cast(:organizations as text[]), cast(:people as text[])) with ordinality
           as given (organization, person, number)
), {_ABOVE}
""")


class Codes(NamedTuple):
    """The code of a join: at most one of the two."""

    organization: str
    invitation: str | None
    share_code: str | None


class Sponsors:
    """Finds the owners of codes: one query for everybody who asks at the same time."""

    def __init__(self, reader: AsyncEngine) -> None:
        self._reader = reader
        self._waiting: dict[asyncio.Future[Sponsor | None], Codes] = {}
        self._worker: asyncio.Task[None] | None = None

    async def of(self, codes: Codes) -> Sponsor | None:
        """Who owns the code, as read after this call; None: no code, or one that is not known in the organization."""
        if codes.invitation is None and codes.share_code is None:
            return None
        answer: asyncio.Future[Sponsor | None] = asyncio.get_running_loop().create_future()
        self._waiting[answer] = codes
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # requests that arrived in the same turn of the loop ask together
            asked = list(self._waiting.items())[:MOST_AT_ONCE]
            for answer, _ in asked:
                del self._waiting[answer]
            try:
                found = await _of_codes(self._reader, list({codes for _, codes in asked}))
            except Exception as error:  # everybody who waits must hear of it
                for answer, _ in asked:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for answer, codes in asked:
                if not answer.done():  # else the caller has gone
                    answer.set_result(found.get(codes))


async def _of_codes(reader: AsyncEngine, asked: Sequence[Codes]) -> Mapping[Codes, Sponsor]:
    given = dict(zip(("organizations", "invitations", "share_codes"), map(list, zip(*asked, strict=True)), strict=True))
    async with reader.connect() as connection:
        rows = (await connection.execute(_OF_CODES, given)).all()
    return {asked[row.number - 1]: Sponsor(row.person, row.root) for row in rows}


async def roots_above(reader: AsyncEngine, people: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """The root above each (organization, person); somebody without a referrer is the own root."""
    asked = list(people)
    given = {"organizations": [organization for organization, _ in asked], "people": [person for _, person in asked]}
    async with reader.connect() as connection:
        rows = (await connection.execute(_OF_PEOPLE, given)).all()
    return {asked[row.number - 1]: row.root for row in rows}
