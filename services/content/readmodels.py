"""The tables that content answers reads from, and the queries."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import BigInteger, Date, DateTime, MetaData, SmallInteger, and_, column, table
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import Field, SQLModel, String, Text, col, select, tuple_
from sqlmodel import cast as sql_cast
from sqlmodel.ext.asyncio.session import AsyncSession

from services.content.standing import CommunityStatus, Standing
from services.content.tallies import Counts


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
    landing_url: str | None


class MemberRow(_Table, table=True):
    """A person in a community, as heard from membership."""

    __tablename__ = "members"

    community: UUID = Field(primary_key=True)
    person: str = Field(primary_key=True)
    active: bool
    roles: list[str] = Field(sa_type=ARRAY(String))


class PostRow(_Table, table=True):
    """A post; it stands where both `removed_at` and `hidden_at` are None."""

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
    rating: int | None = Field(sa_type=SmallInteger)
    occurred_at: datetime = _instant()
    edited_at: datetime | None = _instant()
    removed_at: datetime | None = _instant()
    hidden_at: datetime | None = _instant()
    version: int = Field(sa_type=BigInteger)


class CommentRow(_Table, table=True):
    """A comment; `removed_at` None: it stands."""

    __tablename__ = "comments"

    comment: UUID = Field(primary_key=True)
    organization: str
    community: UUID
    post: UUID
    author: str
    floor: int = Field(sa_type=BigInteger)
    parent: UUID | None
    body: str
    occurred_at: datetime = _instant()
    removed_at: datetime | None = _instant()
    version: int = Field(sa_type=BigInteger)


class ShareRow(_Table, table=True):
    """A share; it never changes."""

    __tablename__ = "shares"

    code: str = Field(primary_key=True)
    share: UUID
    organization: str
    community: UUID
    zone: str
    currency: str
    sharer: str
    target_kind: str
    target: str
    channel: str
    parent: str | None
    occurred_at: datetime = _instant()
    local_day: date = Field(sa_type=Date)


class TallyRow(_Table, table=True):
    """How many of a kind stand on a subject."""

    __tablename__ = "tallies"

    subject: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    number: int = Field(sa_type=BigInteger)


_EVENTS = table("events", column("stream_id"), column("version"), column("type"), column("data"))


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
        roles=tuple(member.roles) if member is not None else (),
    )


async def post(reader: AsyncEngine, id: UUID) -> PostRow | None:
    async with AsyncSession(reader) as session:
        return await session.get(PostRow, id)


async def feed(
    reader: AsyncEngine, community: UUID, *, before: tuple[datetime, UUID] | None, limit: int
) -> Sequence[PostRow]:
    """Posts of a community that stand, newest first, older than `before` (occurred_at, post)."""
    query = select(PostRow).where(
        PostRow.community == community, col(PostRow.removed_at).is_(None), col(PostRow.hidden_at).is_(None)
    )
    if before is not None:
        query = query.where(tuple_(col(PostRow.occurred_at), col(PostRow.post)) < before)
    query = query.order_by(col(PostRow.occurred_at).desc(), col(PostRow.post).desc()).limit(limit)
    async with AsyncSession(reader) as session:
        return (await session.exec(query)).all()


async def stored(
    reader: AsyncEngine, stream_id: str, types: Collection[str], *, after: int, limit: int
) -> Sequence[tuple[int, str, str]]:
    """Facts of these types in a stream, oldest first: (version, type, data as JSON)."""
    version: Any = column("version")
    query: Any = (
        select(version, column("type"), sql_cast(column("data"), Text))
        .select_from(_EVENTS)
        .where(column("stream_id") == stream_id, column("type").in_(types), version > after)
        .order_by(version)
        .limit(limit)
    )
    async with AsyncSession(reader) as session:
        return [(row[0], row[1], row[2]) for row in await session.exec(query)]


async def comment(reader: AsyncEngine, id: UUID) -> CommentRow | None:
    async with AsyncSession(reader) as session:
        return await session.get(CommentRow, id)


async def thread(reader: AsyncEngine, post: UUID, *, after: int, limit: int) -> Sequence[CommentRow]:
    """Comments of a post above floor `after`, in the order of their floors, the removed ones among them."""
    query = select(CommentRow).where(CommentRow.post == post, CommentRow.floor > after)
    async with AsyncSession(reader) as session:
        return (await session.exec(query.order_by(col(CommentRow.floor)).limit(limit))).all()


async def share(reader: AsyncEngine, code: str) -> ShareRow | None:
    async with AsyncSession(reader) as session:
        return await session.get(ShareRow, code)


async def children(reader: AsyncEngine, parent: str, *, after: UUID | None, limit: int) -> Sequence[ShareRow]:
    """Shares that hang directly below a share, in the order in which they were made."""
    query = select(ShareRow).where(ShareRow.parent == parent)
    if after is not None:
        query = query.where(ShareRow.share > after)
    async with AsyncSession(reader) as session:
        return (await session.exec(query.order_by(col(ShareRow.share)).limit(limit))).all()


async def link(reader: AsyncEngine, code: str) -> tuple[ShareRow, str | None] | None:
    """A share, and where short links of its community lead (None: nowhere, or not heard of)."""
    query = (
        select(ShareRow, CommunityRow.landing_url)
        .join(CommunityRow, col(CommunityRow.community) == col(ShareRow.community), isouter=True)
        .where(ShareRow.code == code)
    )
    async with AsyncSession(reader) as session:
        found = (await session.exec(query)).first()
    return (found[0], found[1]) if found is not None else None


async def counts(reader: AsyncEngine, subjects: Collection[str]) -> Mapping[str, Counts]:
    """What is counted of these subjects; one of which nothing is counted is missing."""
    query = select(TallyRow).where(col(TallyRow.subject).in_(subjects), TallyRow.number > 0)
    found: dict[str, dict[str, int]] = {}
    async with AsyncSession(reader) as session:
        for row in await session.exec(query):
            found.setdefault(row.subject, {})[row.kind] = row.number
    return found
