"""What scoring can be asked: boards, places on them, a person's numbers, and why each is what it is."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine

from services.scoring import boardreads, commissionreads, readmodels
from services.scoring.boardreads import Placed
from services.scoring.boards import Metric
from services.scoring.commissionreads import CommissionEntry, CommissionOf
from services.scoring.fold import EPOCH_ORDINAL
from services.scoring.rankkey import activity_at, value_at
from services.scoring.readmodels import CommunityRow, DayCountRow, Entry, EntryRow, JournalRow, PersonRow, RulesetRow
from services.scoring.ruleset import DEFAULT_NUMBER
from shared.commands.gateway import Gateway
from shared.errors import BadRequest, Forbidden, NotFound
from shared.messaging.progress import Progress

SCORES_READ = "scores:read"

Value = int | float


@dataclass(frozen=True)
class Reader:
    """Who asks.

    Attributes:
        organization: whose data there is at all.
        person: the person who asks; None for a machine.
        all_scores: may read anybody's numbers in the organization.
    """

    organization: str
    person: str | None
    all_scores: bool


class Valued(NamedTuple):
    """A member on a board with the value to show; `currency` None: no money."""

    placed: Placed
    value: Value
    currency: str | None = None


class Place(NamedTuple):
    """A member's place; `rank` None and no neighbours: not on the board."""

    rank: int | None
    value: Value
    view: Sequence[Valued]


class ActivityOf(NamedTuple):
    """A person's activity at a local day, and some of the counts it comes from."""

    person: str
    community: CommunityRow
    active: bool
    day: date
    value: float
    counts: Sequence[DayCountRow]


class Explained(NamedTuple):
    """What a fact changed, as far as the reader may see it. `person` None: about a community, or not to be seen."""

    fact: JournalRow
    community: CommunityRow
    person: str | None
    entry: EntryRow | None
    commission: Sequence[CommissionEntry]


@dataclass(frozen=True)
class Scoring:
    """The service. Its tables are written by its projection, but for rulesets, which the gateway publishes."""

    gateway: Gateway
    reader: AsyncEngine
    passed: Progress
    readiness: Callable[[], Awaitable[list[str]]]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def ready(self) -> list[str]:
        """Why requests cannot be served now; empty if they can."""
        return await self.readiness()

    async def board(
        self,
        asking: Reader,
        community: str,
        metric: Metric,
        *,
        day: date | None,
        after: tuple[int, str] | None,
        limit: int,
    ) -> Sequence[Valued]:
        """A page of a leaderboard, for active members and callers that may read all scores.

        Raises:
            NotFound: no such community in the organization.
            Forbidden: `not-a-member`.
            BadRequest: a day for another metric than activity.
        """
        row = await self._community(asking, community)
        await self._may_read_boards(asking, row)
        placed = await boardreads.page(self.reader, metric, row.community_no, after=after, limit=limit)
        return await self._valued(row, metric, placed, day)

    async def place(self, asking: Reader, community: str, metric: Metric, person: str, *, day: date | None) -> Place:
        """A member's place with its neighbours. Raises as `board`, and NotFound for who is no active member."""
        row = await self._community(asking, community)
        await self._may_read_boards(asking, row)
        standing = await readmodels.standing(self.reader, asking.organization, person, row.community_no)
        if standing is None or not standing.active:
            raise NotFound("member-not-found", "This person is not an active member of the community.")
        found = await boardreads.place(
            self.reader, metric, row.community_no, organization=asking.organization, person=person
        )
        if found is None:
            await self._valued(row, metric, (), day)
            return Place(None, 0, ())
        own, view = found
        valued = await self._valued(row, metric, view, day)
        return Place(own.rank, next(item.value for item in valued if item.placed is own), valued)

    async def balance(self, asking: Reader, person: str) -> int:
        """Points over all communities.

        Raises:
            Forbidden: `not-your-own`.
            NotFound: nothing is known of that person in the organization.
        """
        row = await self._person(asking, person)
        return 0 if row is None else await readmodels.balance(self.reader, row.person_no)

    async def activity(
        self, asking: Reader, person: str, community: str, *, day: date | None, before: date | None, days: int
    ) -> ActivityOf:
        """Activity at a day (today by default), with the counts of up to so many scored days before `before`."""
        row = await self._community(asking, community)
        who = await self._person(asking, person)
        day = day or self._today(row)
        standing = await readmodels.standing(self.reader, asking.organization, person, row.community_no)
        if who is None or standing is None:
            return ActivityOf(person, row, False, day, 0.0, ())
        value = (await self._activities(row, {person: standing.activity_key}, day))[person]
        counts = await readmodels.counts(self.reader, who.person_no, row.community_no, before=before, days=days)
        return ActivityOf(person, row, standing.active, day, value, counts)

    async def entries(
        self, asking: Reader, person: str, *, community: str | None, before: int | None, limit: int
    ) -> Sequence[Entry]:
        """What changed a person's numbers, newest first. Raises as `balance`, and NotFound for the community."""
        who = await self._person(asking, person)
        row = await self._community(asking, community) if community is not None else None
        if who is None:
            return ()
        return await readmodels.entries(
            self.reader, who, community_no=row.community_no if row is not None else None, before=before, limit=limit
        )

    async def commission(self, asking: Reader, person: str) -> Sequence[CommissionOf]:
        """What a person earned, per community. Raises as `balance`."""
        _may_read_numbers(asking, person)
        found = await commissionreads.totals(self.reader, asking.organization, person, now=self.clock())
        if not found:
            await self._person(asking, person)
        return found

    async def commission_entries(
        self, asking: Reader, person: str, *, community: str | None, before: int | None, limit: int
    ) -> Sequence[CommissionEntry]:
        """The entries of a person's commission, newest first. Raises as `entries`."""
        _may_read_numbers(asking, person)
        row = await self._community(asking, community) if community is not None else None
        found = await commissionreads.entries(
            self.reader,
            asking.organization,
            person,
            community_no=row.community_no if row is not None else None,
            before=before,
            limit=limit,
        )
        if not found:
            await self._person(asking, person)
        return found

    async def effects(self, asking: Reader, event_id: str) -> Explained:
        """What one fact changed: all of it, or what of it is the reader's own.

        Raises:
            NotFound: not journaled, or of another organization.
            Forbidden: `not-your-own`: it is about somebody else, and the reader earns nothing by it.
        """
        found = await readmodels.effects(self.reader, UUID(event_id))
        if found is None or found.community.organization != asking.organization:
            raise NotFound("event-not-found", "No such fact is in the journal.")
        sees_all, about_reader = asking.all_scores, found.person is not None and found.person == asking.person
        if not sees_all and asking.person is None:
            raise _not_your_own()
        commission = await commissionreads.of_event(
            self.reader, asking.organization, UUID(event_id), person=None if sees_all else asking.person
        )
        if sees_all or about_reader:
            return Explained(*found, commission)
        if not commission:
            raise _not_your_own()
        return Explained(found.fact, found.community, None, None, commission)

    async def known_community(self, asking: Reader, id: str) -> None:
        """Raises NotFound: no such community in the organization."""
        await self._community(asking, id)

    async def rulesets(
        self, asking: Reader, community: str | None, *, before: int | None, limit: int
    ) -> Sequence[RulesetRow]:
        """Versions of the organization's ruleset, or of a community's own, newest first. Raises NotFound as above."""
        if community is not None:
            await self._community(asking, community)
        return await readmodels.rulesets(self.reader, asking.organization, community, before=before, limit=limit)

    async def ruleset_in_force(self, asking: Reader, community: str | None, *, at: datetime) -> RulesetRow | None:
        """The version that prices an act at that time; None: the shipped one. Raises NotFound as above."""
        if community is not None:
            await self._community(asking, community)
        return await readmodels.ruleset_in_force(self.reader, asking.organization, community, at=at)

    async def ruleset(self, asking: Reader, number: int) -> RulesetRow | None:
        """The version with that number; None: the shipped one.

        Raises:
            NotFound: there is none, or it is another organization's.
        """
        if number == DEFAULT_NUMBER:
            return None
        row = await readmodels.ruleset(self.reader, number)
        if row is None or row.organization != asking.organization:
            raise NotFound("ruleset-not-found", "There is no such version of a ruleset.")
        return row

    async def _community(self, asking: Reader, id: str) -> CommunityRow:
        row = await readmodels.community(self.reader, UUID(id))
        if row is None or row.organization != asking.organization:
            raise NotFound("community-not-found", "There is no such community.")
        return row

    async def _may_read_boards(self, asking: Reader, community: CommunityRow) -> None:
        if asking.all_scores:
            return
        if asking.person is None:
            raise Forbidden("scope-missing", f"A machine needs the scope `{SCORES_READ}`.", scope=SCORES_READ)
        standing = await readmodels.standing(self.reader, asking.organization, asking.person, community.community_no)
        if standing is None or not standing.active:
            raise Forbidden("not-a-member", "Only active members read the leaderboards of a community.")

    async def _person(self, asking: Reader, person: str) -> PersonRow | None:
        """The person asked for; None only for somebody who asks for the own numbers and has none yet."""
        _may_read_numbers(asking, person)
        row = await readmodels.person(self.reader, asking.organization, person)
        if row is None and person != asking.person:
            raise NotFound("person-not-found", "Nothing is known of this person.")
        return row

    async def _valued(
        self, community: CommunityRow, metric: Metric, placed: Sequence[Placed], day: date | None
    ) -> Sequence[Valued]:
        if metric is not Metric.ACTIVITY:
            if day is not None:
                raise BadRequest("day-not-applicable", "Only activity depends on a day; leave `day` out.")
            currency = None
            if metric is Metric.COMMISSION and placed:
                currency = await commissionreads.currency(self.reader, placed[0].person, community.community_no)
            return [Valued(one, one.key, currency) for one in placed]
        keys = {one.person: one.key for one in placed}
        values = await self._activities(community, keys, day or self._today(community))
        return [Valued(one, values[one.person]) for one in placed]

    async def _activities(
        self, community: CommunityRow, keys: Mapping[str, int | None], day: date
    ) -> Mapping[str, float]:
        """The activity of these persons, given with their keys, at a local day; 6 decimals."""
        half_life, number = community.half_life_days, _number(day)
        if day >= self._today(community):
            values = {name: 0.0 if key is None else value_at(key, number, half_life) for name, key in keys.items()}
        else:
            # A key stands for scores of later days too.
            scores = await readmodels.day_scores(self.reader, community, list(keys), until=day)
            values = {
                name: activity_at({_number(scored): score for scored, score in days.items()}, number, half_life)
                for name, days in scores.items()
            }
        return {name: round(value, 6) for name, value in values.items()}

    def _today(self, community: CommunityRow) -> date:
        return self.clock().astimezone(ZoneInfo(community.zone)).date()


def _number(day: date) -> int:
    return day.toordinal() - EPOCH_ORDINAL


def _may_read_numbers(asking: Reader, person: str) -> None:
    if person != asking.person and not asking.all_scores:
        raise _not_your_own()


def _not_your_own() -> Forbidden:
    return Forbidden("not-your-own", "People read their own numbers; others' need the scope scores:read.")
