"""The tables that scoring's answers about people and facts read from, and the queries; boards are in `boardreads`."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, MetaData, SmallInteger, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession


class _Table(SQLModel):
    metadata = MetaData()  # of this service alone: others may have tables of the same name


class CommunityRow(_Table, table=True):
    __tablename__ = "communities"

    community_no: int = Field(primary_key=True)
    community: UUID
    organization: str
    zone: str
    half_life_days: int = Field(sa_type=SmallInteger)


class PersonRow(_Table, table=True):
    __tablename__ = "persons"

    person_no: int = Field(primary_key=True)
    organization: str
    person: str
    lane: int = Field(sa_type=SmallInteger)


class JournalRow(_Table, table=True):
    __tablename__ = "journal"

    lane: int = Field(primary_key=True, sa_type=SmallInteger)
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    event_id: UUID
    kind: int = Field(sa_type=SmallInteger)
    person_no: int | None
    community_no: int
    occurred_at: datetime = Field(sa_type=DateTime(timezone=True))
    recorded_at: datetime = Field(sa_type=DateTime(timezone=True))
    local_day: date
    act_id: UUID | None
    act_day: date | None
    amount: int | None = Field(sa_type=BigInteger)
    ruleset: int | None
    details: Any = Field(sa_type=JSONB, nullable=True)
    void: bool


class EntryRow(_Table, table=True):
    __tablename__ = "point_entries"

    person_no: int = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    community_no: int
    act: int = Field(sa_type=SmallInteger)
    points_wanted: int = Field(sa_type=BigInteger)
    points_given: int = Field(sa_type=BigInteger)
    weight_wanted: int
    weight_given: int
    reason: int | None = Field(sa_type=SmallInteger)


class DayCountRow(_Table, table=True):
    __tablename__ = "day_counts"

    person_no: int = Field(primary_key=True)
    community_no: int = Field(primary_key=True)
    day: date = Field(primary_key=True)
    act: int = Field(primary_key=True, sa_type=SmallInteger)
    ruleset: int = Field(primary_key=True)
    n: int
    score: int = Field(sa_type=BigInteger)


class StandingRow(_Table, table=True):
    __tablename__ = "standings"

    person_no: int = Field(primary_key=True)
    community_no: int = Field(primary_key=True)
    person: str
    activity_key: int | None = Field(sa_type=BigInteger)
    points: int = Field(sa_type=BigInteger)
    active: bool


class RulesetRow(_Table, table=True):
    """A published version; `community` None: of the whole organization."""

    __tablename__ = "ruleset_versions"

    ruleset: int = Field(primary_key=True)
    organization: str
    community: UUID | None
    version: int
    valid_from: datetime = Field(sa_type=DateTime(timezone=True))
    rules: dict[str, Any] = Field(sa_type=JSONB)
    published_by: str
    published_at: datetime = Field(sa_type=DateTime(timezone=True))


class Entry(NamedTuple):
    """An entry with the fact that caused it and the community's id."""

    entry: EntryRow
    fact: JournalRow
    community: UUID


class Effects(NamedTuple):
    """A fact as journaled, whose it is, where, and its entry, if it has one."""

    fact: JournalRow
    community: CommunityRow
    person: str | None
    entry: EntryRow | None


async def community(reader: AsyncEngine, id: UUID) -> CommunityRow | None:
    async with AsyncSession(reader) as session:
        return (await session.exec(select(CommunityRow).where(CommunityRow.community == id))).first()


async def person(reader: AsyncEngine, organization: str, person: str) -> PersonRow | None:
    query = select(PersonRow).where(PersonRow.organization == organization, PersonRow.person == person)
    async with AsyncSession(reader) as session:
        return (await session.exec(query)).first()


async def standing(reader: AsyncEngine, organization: str, person: str, community_no: int) -> StandingRow | None:
    query = (
        select(StandingRow)
        .join(PersonRow, col(PersonRow.person_no) == StandingRow.person_no)
        .where(
            PersonRow.organization == organization,
            PersonRow.person == person,
            StandingRow.community_no == community_no,
        )
    )
    async with AsyncSession(reader) as session:
        return (await session.exec(query)).first()


async def active(
    reader: AsyncEngine, organization: str, community_no: int, persons: Collection[str]
) -> Collection[str]:
    """Those of these persons who are active members of the community."""
    query = (
        select(PersonRow.person)
        .join(StandingRow, col(StandingRow.person_no) == PersonRow.person_no)
        .where(
            PersonRow.organization == organization,
            col(PersonRow.person).in_(persons),
            StandingRow.community_no == community_no,
            col(StandingRow.active),
        )
    )
    async with AsyncSession(reader) as session:
        return set((await session.exec(query)).all())


async def balance(reader: AsyncEngine, person_no: int) -> int:
    """Points of a person over all communities of its organization: the sum of the entries, kept per community."""
    query = select(func.coalesce(func.sum(StandingRow.points), 0)).where(StandingRow.person_no == person_no)
    async with AsyncSession(reader) as session:
        return int((await session.exec(query)).one())


async def day_scores(
    reader: AsyncEngine, community: CommunityRow, persons: Sequence[str], *, until: date
) -> dict[str, dict[date, int]]:
    """For each of these persons, the scores of the days up to `until`."""
    query = (
        select(col(PersonRow.person), col(DayCountRow.day), func.sum(col(DayCountRow.score)))
        .join(DayCountRow, col(DayCountRow.person_no) == PersonRow.person_no)
        .where(
            PersonRow.organization == community.organization,
            col(PersonRow.person).in_(persons),
            DayCountRow.community_no == community.community_no,
            DayCountRow.day <= until,
        )
        .group_by(col(PersonRow.person), col(DayCountRow.day))
    )
    scores: dict[str, dict[date, int]] = {person: {} for person in persons}
    async with AsyncSession(reader) as session:
        for person, day, score in (await session.exec(query)).all():
            scores[person][day] = int(score)
    return scores


async def counts(
    reader: AsyncEngine, person_no: int, community_no: int, *, before: date | None, days: int
) -> Sequence[DayCountRow]:
    """The counts of a person's last so many days in a community, newest first; only days before `before`."""
    mine: list[Any] = [DayCountRow.person_no == person_no, DayCountRow.community_no == community_no]
    if before is not None:
        mine.append(DayCountRow.day < before)
    day = col(DayCountRow.day)
    newest = select(day).where(*mine).distinct().order_by(day.desc()).limit(days)
    query = (
        select(DayCountRow)
        .where(*mine, day.in_(newest))
        .order_by(day.desc(), col(DayCountRow.act), col(DayCountRow.ruleset))
    )
    async with AsyncSession(reader) as session:
        return (await session.exec(query)).all()


async def entries(
    reader: AsyncEngine, person: PersonRow, *, community_no: int | None, before: int | None, limit: int
) -> Sequence[Entry]:
    """A person's entries, newest first; only those with a journal number below `before`."""
    query = (
        select(EntryRow, JournalRow, CommunityRow.community)
        .join(JournalRow, col(JournalRow.seq) == EntryRow.seq)
        .join(CommunityRow, col(CommunityRow.community_no) == EntryRow.community_no)
        .where(EntryRow.person_no == person.person_no, JournalRow.lane == person.lane)
        .order_by(col(EntryRow.seq).desc())
        .limit(limit)
    )
    if community_no is not None:
        query = query.where(EntryRow.community_no == community_no)
    if before is not None:
        query = query.where(EntryRow.seq < before)
    async with AsyncSession(reader) as session:
        return [Entry(*row) for row in (await session.exec(query)).all()]


async def effects(reader: AsyncEngine, event_id: UUID) -> Effects | None:
    query = (
        select(JournalRow, CommunityRow, PersonRow.person, EntryRow)
        .join(CommunityRow, col(CommunityRow.community_no) == JournalRow.community_no)
        .outerjoin(PersonRow, col(PersonRow.person_no) == JournalRow.person_no)
        .outerjoin(EntryRow, (col(EntryRow.person_no) == JournalRow.person_no) & (col(EntryRow.seq) == JournalRow.seq))
        .where(JournalRow.event_id == event_id)
    )
    async with AsyncSession(reader) as session:
        row = (await session.exec(query)).first()
    return None if row is None else Effects(*row)


async def ruleset(reader: AsyncEngine, number: int) -> RulesetRow | None:
    async with AsyncSession(reader) as session:
        return await session.get(RulesetRow, number)


async def rulesets(
    reader: AsyncEngine, organization: str, community: str | None, *, before: int | None, limit: int
) -> Sequence[RulesetRow]:
    """Versions of the organization's ruleset, or of a community's own, newest first; only those below `before`."""
    query = select(RulesetRow).where(RulesetRow.organization == organization, _of_community(community))
    if before is not None:
        query = query.where(RulesetRow.version < before)
    async with AsyncSession(reader) as session:
        return (await session.exec(query.order_by(col(RulesetRow.version).desc()).limit(limit))).all()


async def ruleset_in_force(
    reader: AsyncEngine, organization: str, community: str | None, *, at: datetime
) -> RulesetRow | None:
    """The version that prices an act at that time, a community's own before the organization's."""
    query = (
        select(RulesetRow)
        .where(
            RulesetRow.organization == organization,
            _of_community(None) if community is None else _of_community(None) | _of_community(community),
            RulesetRow.valid_from <= at,
        )
        .order_by(
            col(RulesetRow.community).is_(None), col(RulesetRow.valid_from).desc(), col(RulesetRow.version).desc()
        )
        .limit(1)
    )
    async with AsyncSession(reader) as session:
        return (await session.exec(query)).first()


def _of_community(community: str | None) -> Any:
    own = col(RulesetRow.community)
    return own.is_(None) if community is None else own == UUID(community)
