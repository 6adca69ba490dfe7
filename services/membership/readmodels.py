"""The tables that membership answers reads from, and the queries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, MetaData
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import Field, SQLModel, col, select, tuple_
from sqlmodel.ext.asyncio.session import AsyncSession


class _Table(SQLModel):
    metadata = MetaData()  # of this service alone: others may have tables of the same name


def _instant() -> Any:
    return Field(sa_type=DateTime(timezone=True))


class CommunityRow(_Table, table=True):
    """A community; `launched_at` None: a draft."""

    __tablename__ = "communities"

    community: UUID = Field(primary_key=True)
    organization: str
    owner: str
    name: str
    affinity: str
    purpose: str
    kind: str
    tags: list[str] = Field(sa_type=JSONB)
    zone: str
    currency: str
    capacity: int | None = Field(sa_type=BigInteger)
    entry: list[str] = Field(sa_type=JSONB)
    launch_base: int = Field(sa_type=BigInteger)
    probation_days: int
    rulebook: str
    founded_at: datetime = _instant()
    launched_at: datetime | None = _instant()
    version: int = Field(sa_type=BigInteger)
    landing_url: str | None


class MemberRow(_Table, table=True):
    """A person in a community; `left_at` None: active."""

    __tablename__ = "members"

    community: UUID = Field(primary_key=True)
    person: str = Field(primary_key=True)
    organization: str
    roles: list[str] = Field(sa_type=JSONB)
    first_in_community: bool
    joined_at: datetime = _instant()
    left_at: datetime | None = _instant()
    version: int = Field(sa_type=BigInteger)


class InvitationRow(_Table, table=True):
    """An invitation; `max_uses` and `expires_at` None: no limit."""

    __tablename__ = "invitations"

    code: str = Field(primary_key=True)
    organization: str
    community: UUID
    inviter: str
    max_uses: int | None = Field(sa_type=BigInteger)
    expires_at: datetime | None = _instant()
    uses: int = Field(sa_type=BigInteger)
    created_at: datetime = _instant()
    version: int = Field(sa_type=BigInteger)


class Binding(NamedTuple):
    """A person's referral binding; `since`: when the join that bound was recorded."""

    referrer: str | None
    since: datetime | None
    pending: bool


async def community(reader: AsyncEngine, id: UUID) -> CommunityRow | None:
    async with AsyncSession(reader) as session:
        return await session.get(CommunityRow, id)


async def communities(
    reader: AsyncEngine, organization: str, *, before: UUID | None, limit: int
) -> Sequence[CommunityRow]:
    """Communities of an organization, newest first, older than `before`."""
    query = select(CommunityRow).where(CommunityRow.organization == organization)
    if before is not None:
        query = query.where(col(CommunityRow.community) < before)
    async with AsyncSession(reader) as session:
        return (await session.exec(query.order_by(col(CommunityRow.community).desc()).limit(limit))).all()


async def member(reader: AsyncEngine, community: UUID, person: str) -> MemberRow | None:
    async with AsyncSession(reader) as session:
        return await session.get(MemberRow, (community, person))


async def members(
    reader: AsyncEngine, community: UUID, *, after: tuple[datetime, str] | None, limit: int
) -> Sequence[MemberRow]:
    """Active members of a community, by the time they joined, later than `after` (joined_at, person)."""
    query = select(MemberRow).where(MemberRow.community == community, col(MemberRow.left_at).is_(None))
    place = tuple_(col(MemberRow.joined_at), col(MemberRow.person))
    if after is not None:
        query = query.where(place > after)
    query = query.order_by(col(MemberRow.joined_at), col(MemberRow.person)).limit(limit)
    async with AsyncSession(reader) as session:
        return (await session.exec(query)).all()


async def landing_url(reader: AsyncEngine, id: UUID) -> str | None:
    """Where short links and invitations of a community lead."""
    async with AsyncSession(reader) as session:
        return (await session.exec(select(CommunityRow.landing_url).where(CommunityRow.community == id))).one()


async def invitation(reader: AsyncEngine, code: str) -> InvitationRow | None:
    async with AsyncSession(reader) as session:
        return await session.get(InvitationRow, code)


async def invitations(
    reader: AsyncEngine, community: UUID, *, inviter: str | None, before: tuple[datetime, str] | None, limit: int
) -> Sequence[InvitationRow]:
    """Invitations to a community, newest first, older than `before` (created_at, code). `inviter`: only of that member."""
    query = select(InvitationRow).where(InvitationRow.community == community)
    if inviter is not None:
        query = query.where(InvitationRow.inviter == inviter)
    place = tuple_(col(InvitationRow.created_at), col(InvitationRow.code))
    if before is not None:
        query = query.where(place < before)
    query = query.order_by(col(InvitationRow.created_at).desc(), col(InvitationRow.code).desc()).limit(limit)
    async with AsyncSession(reader) as session:
        return (await session.exec(query)).all()


_BINDING = sql("""
select binding.referrer, binding.since,
       exists (select from deferred_joins where organization = asked.organization and person = asked.person) as pending
  from (select :organization as organization, :person as person) as asked
  left join referrals as binding on (binding.organization, binding.person) = (asked.organization, asked.person)
""")


async def referral(reader: AsyncEngine, organization: str, person: str) -> Binding:
    """The person's binding; somebody unheard of has none."""
    async with reader.connect() as connection:
        row = (await connection.execute(_BINDING, {"organization": organization, "person": person})).one()
    return Binding(row.referrer, row.since, row.pending)
