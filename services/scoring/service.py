"""What scoring can be asked beside its leaderboards: a person's numbers, and why each is what it is."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scoring import commissionreads, readmodels, unrewardedreads
from services.scoring.commissionreads import CommissionEntry, CommissionOf
from services.scoring.inbound import Kind
from services.scoring.leaderboards import Leaderboards
from services.scoring.live import Live
from services.scoring.nothing import Level, Nothing, why_nothing
from services.scoring.nothing import levels as levels_of
from services.scoring.reader import Reader
from services.scoring.readmodels import CommunityRow, DayCountRow, Entry, EntryRow, JournalRow, PersonRow, RulesetRow
from services.scoring.ruleset import DEFAULT, DEFAULT_NUMBER, Rules, Ruleset
from services.scoring.unrewardedreads import Unrewarded
from shared.commands.gateway import Gateway
from shared.errors import Forbidden, NotFound
from shared.messaging.progress import Progress


class ActivityOf(NamedTuple):
    """A person's activity at a local day, and some of the counts it comes from."""

    person: str
    community: CommunityRow
    active: bool
    day: date
    value: float
    counts: Sequence[DayCountRow]


class Explained(NamedTuple):
    """What a fact changed, as far as the reader may see it.

    Attributes:
        person: None: about a community, or not to be seen.
        nothing: why there is no entry; None: there is one, or it is not to be seen.
        levels: of the attribution of a purchase.
    """

    fact: JournalRow
    community: CommunityRow
    person: str | None
    entry: EntryRow | None
    commission: Sequence[CommissionEntry]
    nothing: Nothing | None = None
    levels: Sequence[Level] = ()


@dataclass(frozen=True)
class Scoring:
    """The service. Its tables are written by its projection, but for rulesets, which the gateway publishes."""

    gateway: Gateway
    reader: AsyncEngine
    passed: Progress
    readiness: Callable[[], Awaitable[list[str]]]
    boards: Leaderboards
    streams: Live

    async def ready(self) -> list[str]:
        """Why requests cannot be served now; empty if they can."""
        return await self.readiness()

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
        row = await self.boards.community(asking, community)
        who = await self._person(asking, person)
        day = day or self.boards.today(row)
        standing = await readmodels.standing(self.reader, asking.organization, person, row.community_no)
        if who is None or standing is None:
            return ActivityOf(person, row, False, day, 0.0, ())
        value = (await self.boards.activities(row, {person: standing.activity_key}, day))[person]
        counts = await readmodels.counts(self.reader, who.person_no, row.community_no, before=before, days=days)
        return ActivityOf(person, row, standing.active, day, value, counts)

    async def entries(
        self, asking: Reader, person: str, *, community: str | None, before: int | None, limit: int
    ) -> Sequence[Entry]:
        """What changed a person's numbers, newest first. Raises as `balance`, and NotFound for the community."""
        who = await self._person(asking, person)
        row = await self.boards.community(asking, community) if community is not None else None
        if who is None:
            return ()
        return await readmodels.entries(
            self.reader, who, community_no=row.community_no if row is not None else None, before=before, limit=limit
        )

    async def unrewarded(
        self, asking: Reader, person: str, *, community: str | None, before: int | None, limit: int
    ) -> Sequence[tuple[Unrewarded, Nothing]]:
        """Facts about a person that changed none of the person's numbers, each with the reason, newest first. Raises as
        `entries`."""
        who = await self._person(asking, person)
        row = await self.boards.community(asking, community) if community is not None else None
        if who is None:
            return ()
        found = await unrewardedreads.unrewarded(
            self.reader, who, community_no=row.community_no if row is not None else None, before=before, limit=limit
        )
        rules = {number: await self._rules(number) for number in {fact.ruleset for fact in found}}
        return [(fact, why_nothing(Kind(fact.kind), rules[fact.ruleset], fact.amount)) for fact in found]

    async def commission(self, asking: Reader, person: str) -> Sequence[CommissionOf]:
        """What a person earned, per community. Raises as `balance`."""
        _may_read_numbers(asking, person)
        found = await commissionreads.totals(self.reader, asking.organization, person, now=self.boards.clock())
        if not found:
            await self._person(asking, person)
        return found

    async def commission_entries(
        self, asking: Reader, person: str, *, community: str | None, before: int | None, limit: int
    ) -> Sequence[CommissionEntry]:
        """The entries of a person's commission, newest first. Raises as `entries`."""
        _may_read_numbers(asking, person)
        row = await self.boards.community(asking, community) if community is not None else None
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
        fact, rules = found.fact, await self._rules(found.fact.ruleset)
        booked = await commissionreads.of_event(self.reader, asking.organization, UUID(event_id))
        commission = [one for one in booked if sees_all or one.person == asking.person]
        levels = [one for one in await self._levels(fact, rules, booked) if sees_all or one.person == asking.person]
        if sees_all or about_reader:
            why = why_nothing(Kind(fact.kind), rules, fact.amount, void=fact.void) if found.entry is None else None
            return Explained(*found, commission, why, levels)
        if not commission and not levels:
            raise _not_your_own()
        return Explained(fact, found.community, None, None, commission, None, levels)

    async def _levels(
        self, fact: JournalRow, rules: Ruleset | None, booked: Sequence[CommissionEntry]
    ) -> Sequence[Level]:
        """Of an attribution, what each level of the chain got by it; of any other fact none."""
        if fact.kind != Kind.PURCHASE_ATTRIBUTED or fact.void:
            return ()
        if rules is None or fact.person_no is None or fact.act_id is None:
            return ()
        order = await commissionreads.credited(self.reader, fact.person_no, fact.act_id)
        if order is None:
            return ()
        return levels_of(rules, order.commissionable, order.chain, {one.level: one.amount for one in booked})

    async def _rules(self, number: int | None) -> Ruleset | None:
        """The version that a row names."""
        if number is None or number == DEFAULT_NUMBER:
            return None if number is None else DEFAULT
        row = await readmodels.ruleset(self.reader, number)
        assert row is not None, "versions are never removed"
        return Ruleset.of(number, row.version, row.valid_from, msgspec.convert(row.rules, Rules))

    async def known_community(self, asking: Reader, id: str) -> None:
        """Raises NotFound: no such community in the organization."""
        await self.boards.community(asking, id)

    async def rulesets(
        self, asking: Reader, community: str | None, *, before: int | None, limit: int
    ) -> Sequence[RulesetRow]:
        """Versions of the organization's ruleset, or of a community's own, newest first. Raises NotFound as above."""
        if community is not None:
            await self.boards.community(asking, community)
        return await readmodels.rulesets(self.reader, asking.organization, community, before=before, limit=limit)

    async def ruleset_in_force(self, asking: Reader, community: str | None, *, at: datetime) -> RulesetRow | None:
        """The version that prices an act at that time; None: the shipped one. Raises NotFound as above."""
        if community is not None:
            await self.boards.community(asking, community)
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

    async def _person(self, asking: Reader, person: str) -> PersonRow | None:
        """The person asked for; None only for somebody who asks for the own numbers and has none yet."""
        _may_read_numbers(asking, person)
        row = await readmodels.person(self.reader, asking.organization, person)
        if row is None and person != asking.person:
            raise NotFound("person-not-found", "Nothing is known of this person.")
        return row


def _may_read_numbers(asking: Reader, person: str) -> None:
    if person != asking.person and not asking.all_scores:
        raise _not_your_own()


def _not_your_own() -> Forbidden:
    return Forbidden("not-your-own", "People read their own numbers; others' need the scope scores:read.")
