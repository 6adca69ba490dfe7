"""The tables that content answers reads from, and the queries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, MetaData, SmallInteger, and_
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import Field, SQLModel, String, col, select, tuple_
from sqlmodel.ext.asyncio.session import AsyncSession

from services.content.standing import CommunityStatus, Standing


class _Table(SQLModel):
    metadata = MetaData()  # of this service alone: others may have tables of the same name


def _instant() -> Any:
    return Field(sa_type=DateTime(timezone=True))


class CommunityRow(_Table, table=True):
    """A community, as heard from membership."""

    __tablename__ = "communities"

    community: UUID = Field(primary_key=True)
    organization: str
    status: int = Field(sa_type=SmallInteger)
    zone: str
    currency: str


class MemberRow(_Table, table=True):
    """A person in a community, as heard from membership."""

    __tablename__ = "members"

    community: UUID = Field(primary_key=True)
    person: str = Field(primary_key=True)
    active: bool
    roles: list[str] = Field(sa_type=ARRAY(String))


class PostRow(_Table, table=True):
    """A post; `removed_at` None: it stands."""

    __tablename__ = "posts"

    post: UUID = Field(primary_key=True)
    organization: str
    community: UUID
    author: str
    kind: str
    title: str | None
    body: str
    media: list[str] = Field(sa_type=JSONB)
    topics: list[str] = Field(sa_type=JSONB)
    occurred_at: datetime = _instant()
    edited_at: datetime | None = _instant()
    removed_at: datetime | None = _instant()
    version: int = Field(sa_type=BigInteger)


async def standing(reader: AsyncEngine, community: UUID, person: str) -> Standing | None:
    """What is known of a person in a community; None if the community is unknown."""
    of_person = and_(col(MemberRow.community) == col(CommunityRow.community), col(MemberRow.person) == person)
    query = (
        select(CommunityRow, MemberRow)
        .join(MemberRow, of_person, isouter=True)
        .where(CommunityRow.community == community)
    )
    async with AsyncSession(reader) as session:
        found = (await session.exec(query)).first()
    if found is None:
        return None
    row, member = cast("tuple[CommunityRow, MemberRow | None]", found)  # an outer join
    return Standing(
        organization=row.organization,
        community=str(row.community),
        status=CommunityStatus(row.status),
        zone=row.zone,
        currency=row.currency,
        active=member is not None and member.active,
        roles=tuple(member.roles) if member is not None else (),
    )


async def post(reader: AsyncEngine, id: UUID) -> PostRow | None:
    async with AsyncSession(reader) as session:
        return await session.get(PostRow, id)


async def feed(
    reader: AsyncEngine, community: UUID, *, before: tuple[datetime, UUID] | None, limit: int
) -> Sequence[PostRow]:
    """Posts of a community that stand, newest first, older than `before` (occurred_at, post)."""
    query = select(PostRow).where(PostRow.community == community, col(PostRow.removed_at).is_(None))
    if before is not None:
        query = query.where(tuple_(col(PostRow.occurred_at), col(PostRow.post)) < before)
    query = query.order_by(col(PostRow.occurred_at).desc(), col(PostRow.post).desc()).limit(limit)
    async with AsyncSession(reader) as session:
        return (await session.exec(query)).all()
