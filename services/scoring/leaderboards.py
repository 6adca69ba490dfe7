"""Leaderboards as they are read: pages and places, with the values to show, for whom it concerns."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine

from services.scoring import boardreads, commissionreads, readmodels
from services.scoring.boardreads import Placed
from services.scoring.boards import Metric
from services.scoring.fold import EPOCH_ORDINAL
from services.scoring.rankkey import activity_at, value_at
from services.scoring.reader import SCORES_READ, Reader
from services.scoring.readmodels import CommunityRow
from shared.errors import BadRequest, Forbidden, NotFound

Value = int | float


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


@dataclass(frozen=True)
class Leaderboards:
    """The leaderboards of all communities."""

    reader: AsyncEngine
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def page(
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
        row = await self.readable(asking, community)
        placed = await boardreads.page(self.reader, metric, row.community_no, after=after, limit=limit)
        return await self._valued(row, metric, placed, day)

    async def place(self, asking: Reader, community: str, metric: Metric, person: str, *, day: date | None) -> Place:
        """A member's place with its neighbours. Raises as `page`, and NotFound for who is no active member."""
        row = await self.readable(asking, community)
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

    async def community(self, asking: Reader, id: str) -> CommunityRow:
        """Raises NotFound: no such community in the organization."""
        row = await readmodels.community(self.reader, UUID(id))
        if row is None or row.organization != asking.organization:
            raise NotFound("community-not-found", "There is no such community.")
        return row

    async def readable(self, asking: Reader, id: str) -> CommunityRow:
        """The community, if the reader may read its leaderboards. Raises as `page`."""
        community = await self.community(asking, id)
        if asking.all_scores:
            return community
        if asking.person is None:
            raise Forbidden("scope-missing", f"A machine needs the scope `{SCORES_READ}`.", scope=SCORES_READ)
        standing = await readmodels.standing(self.reader, asking.organization, asking.person, community.community_no)
        if standing is None or not standing.active:
            raise not_a_member()
        return community

    async def active(self, community: CommunityRow, persons: Collection[str]) -> Collection[str]:
        """Those of these persons who are active members."""
        return await readmodels.active(self.reader, community.organization, community.community_no, persons)

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
        values = await self.activities(community, keys, day or self.today(community))
        return [Valued(one, values[one.person]) for one in placed]

    async def activities(
        self, community: CommunityRow, keys: Mapping[str, int | None], day: date
    ) -> Mapping[str, float]:
        """The activity of these persons, given with their keys, at a local day; 6 decimals."""
        half_life, number = community.half_life_days, _number(day)
        if day >= self.today(community):
            values = {name: 0.0 if key is None else value_at(key, number, half_life) for name, key in keys.items()}
        else:
            # A key stands for scores of later days too.
            scores = await readmodels.day_scores(self.reader, community, list(keys), until=day)
            values = {
                name: activity_at({_number(scored): score for scored, score in days.items()}, number, half_life)
                for name, days in scores.items()
            }
        return {name: round(value, 6) for name, value in values.items()}

    def today(self, community: CommunityRow) -> date:
        return self.clock().astimezone(ZoneInfo(community.zone)).date()


def not_a_member() -> Forbidden:
    """The refusal of who is no active member of the community."""
    return Forbidden("not-a-member", "Only active members read the leaderboards of a community.")


def _number(day: date) -> int:
    return day.toordinal() - EPOCH_ORDINAL
