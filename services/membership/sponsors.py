"""Reads who owns a code, and the root above: what a command must know before it names its streams."""

from collections.abc import Collection, Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.membership.referral import Sponsor

# Bindings never change, so a root that is still unbound once it is held is still the root (referral.py).
_OF_CODE = text("""
with recursive owner (person) as (
    select inviter from invitations where organization = :organization and code = :invitation
     union all
    select sharer from share_codes where organization = :organization and code = :share_code
), above (person) as (
    select person from owner
     union
    select binding.referrer
      from above
      join referrals as binding on binding.organization = :organization and binding.person = above.person
)
select owner.person as inviter, above.person as root
  from owner, above
 where not exists (select from referrals where organization = :organization and person = above.person)
""")

_ROOTS = text("""
with recursive above (number, organization, person) as (
    select number, organization, person
      from unnest(cast(:organizations as text[]), cast(:people as text[])) with ordinality
           as given (organization, person, number)
     union
    select above.number, above.organization, binding.referrer
      from above
      join referrals as binding on (binding.organization, binding.person) = (above.organization, above.person)
)
select number, person as root
  from above
 where not exists (select from referrals as binding
                    where (binding.organization, binding.person) = (above.organization, above.person))
""")


async def sponsor_of(
    reader: AsyncEngine, organization: str, *, invitation: str | None, share_code: str | None
) -> Sponsor | None:
    """Who owns the code, of which at most one is given; None: no code, or one that is not known in the organization."""
    if invitation is None and share_code is None:
        return None
    given = {"organization": organization, "invitation": invitation, "share_code": share_code}
    async with reader.connect() as connection:
        row = (await connection.execute(_OF_CODE, given)).one_or_none()
    return None if row is None else Sponsor(row.inviter, row.root)


async def roots_above(reader: AsyncEngine, people: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """The root above each (organization, person); somebody without a referrer is the own root."""
    asked = list(people)
    given = {"organizations": [organization for organization, _ in asked], "people": [person for _, person in asked]}
    async with reader.connect() as connection:
        rows = (await connection.execute(_ROOTS, given)).all()
    return {asked[row.number - 1]: row.root for row in rows}
