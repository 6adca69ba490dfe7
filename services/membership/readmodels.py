"""The tables that membership answers reads from, and the queries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, MetaData
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
