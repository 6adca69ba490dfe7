"""Fold the journal person by person: what the greater part of a rebuild is.

A person's numbers follow from that person's rows alone, so a lane may be folded in the order of persons instead of the
order in which facts came. Then everybody is met once: nothing is looked up, no row that was written is changed, and
nothing need be remembered from page to page. What acts are worth is asked of the same code as ever (`Standing.count`, and
`LaneFold` for purchases); only the objects that stand for facts are spared.
"""

from bisect import bisect_left
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

from services.scoring.fold import LaneFold
from services.scoring.inbound import CommunityFact, Done, Kind, PostRestored, PurchaseFact, TakenBack, message_of_kind
from services.scoring.journaled import numbered
from services.scoring.meeting import Met
from services.scoring.memory import LaneMemory
from services.scoring.orders import OrderBook
from services.scoring.rows import entry_row
from services.scoring.ruleset import Act, Rulesets
from services.scoring.rulesetreads import PublishedRulesets
from services.scoring.scorecard import Community, NeverDone, Place, Scorecard, Standing, Touched

_ROWS = """
select person_no, community_no, seq, kind, coalesce(ruleset, 0), coalesce(act_day - date '1970-01-01', 0)
  from journal
 where lane = $1
   and seq <= $2
   and person_no > $3
   and (ruleset is not null or kind in ($4, $5))
   and not void
 order by person_no, seq
"""
"""Of what counts, or lets somebody come or go. Seldom more than a tenth of these are purchases, of which more is read."""

_NOWHERE = Place(None, None)
_UNIX_DAY = date(1970, 1, 1)


class _Meaning(NamedTuple):
    """What a kind of row does.

    Attributes:
        act: that it counts; None: more has to be read, for it is about a purchase.
        step: see `Standing.count`.
        active: whether the person is a member from then on; None: no matter.
    """

    act: Act | None
    step: int
    active: bool | None = None


def _meaning(kind: Kind) -> _Meaning:
    message = message_of_kind(kind)
    if kind is Kind.MEMBER_JOINED:
        return _Meaning(Act.MEMBER_JOINED, 1, True)
    if kind is Kind.MEMBER_LEFT:
        return _Meaning(Act.MEMBER_JOINED, 0, False)
    if issubclass(message, Done | PostRestored):
        return _Meaning(message.act, 1)
    if issubclass(message, TakenBack):
        return _Meaning(message.act, -1)
    if issubclass(message, PurchaseFact):
        return _Meaning(None, 0)
    raise TypeError(f"nobody's numbers change by {kind.name}")


_MEANINGS: Mapping[int, _Meaning] = {
    kind: _meaning(kind) for kind in Kind if not issubclass(message_of_kind(kind), CommunityFact)
}


class Persons(NamedTuple):
    """All rows of some persons of a lane, in the order of persons, and of facts: (person number, community number, journal
    number, kind, number of the ruleset or 0, local day of the act as days since 1970-01-01)."""

    lane: int
    rows: Sequence[Any]

    @property
    def last(self) -> int:
        """The number of the last person."""
        return int(self.rows[-1][0])


async def read_persons(connection: Any, lane: int, through: int, after: int, page_rows: int) -> AsyncIterator[Persons]:
    """What the first `through` rows of a lane say of everybody with a higher number than `after`. To be read in a
    transaction, from a cursor: the server sorts them all, within its `work_mem`.

    Args:
        page_rows: that are read at a time. Persons are not divided: whose rows go on is left for the next page.
    """
    cursor = await connection.cursor(_ROWS, lane, through, after, Kind.MEMBER_JOINED.value, Kind.MEMBER_LEFT.value)
    held: list[Any] = []
    while rows := await cursor.fetch(page_rows):
        held += rows
        if whole := bisect_left(held, held[-1][0], key=itemgetter(0)):
            yield Persons(lane, held[:whole])
            held = held[whole:]
    if held:
        yield Persons(lane, held)


class _Refolded(LaneFold):
    """The rows of its journal are there already."""

    def _note(self, *_: Any, **__: Any) -> None:
        return


async def fold_persons(
    connection: Any, persons: Persons, communities: dict[int, Community], published: PublishedRulesets
) -> LaneFold:
    """Fold all that these persons did. Reads who they are, and what the rows of purchases say; writes nothing.

    Args:
        communities: those known already, by number; others are added.

    Raises:
        ValueError: a row takes back what was never done.
        Poison: a purchase does not fit to what was before.
    """
    scorecards = await _scorecards(connection, {row[0] for row in persons.rows})
    await _meet(connection, communities, {row[1] for row in persons.rows})
    rulesets = await published.of(connection, {scorecard.organization for scorecard in scorecards.values()})
    fold = _Refolded(LaneMemory(persons.lane, 1), rulesets, OrderBook(rulesets))
    purchases = _fold_acts(fold, persons, scorecards, communities, rulesets)
    if purchases:
        await _fold_purchases(connection, fold, purchases, scorecards, communities)
    for standing, touch in fold.touched.items():
        touch.counts = {key: rulesets.numbered(key[2]).rules[key[1]] for key in standing.counts}
    fold.finish()
    return fold


def _fold_acts(
    fold: LaneFold,
    persons: Persons,
    scorecards: Mapping[int, Scorecard],
    communities: Mapping[int, Community],
    rulesets: Rulesets,
) -> list[int]:
    """Fold all but purchases; the journal numbers of these. The loop of a rebuild: what it does, it does for every row."""
    entries, purchases = fold.entries, []
    met_person = met_community = 0
    for person_no, community_no, seq, kind, ruleset, day in persons.rows:
        act, step, active = _MEANINGS[kind]
        if act is None:
            purchases.append(seq)
            continue
        if person_no != met_person or community_no != met_community:
            met_person, met_community = person_no, community_no
            standing, touch = _touch(fold, scorecards[person_no], communities[community_no])
        if active is not None:
            standing.active, touch.membership = active, True
        if not step or not ruleset:
            continue
        try:
            effect = standing.count(day, act, rulesets.numbered(ruleset), step)
        except NeverDone:
            raise ValueError(
                f"journal of lane {persons.lane}, row {seq}: {touch.person.person} has no {act.label} of "
                f"{_UNIX_DAY + timedelta(day)} left to take back"
            ) from None
        if effect.points_wanted or effect.weight_wanted:
            entries.append(entry_row(person_no, seq, community_no, effect))
    return purchases


def _touch(fold: LaneFold, person: Scorecard, community: Community) -> tuple[Standing, Touched]:
    standing = person.standings.get(community.id)
    if standing is None:
        standing = person.standings[community.id] = Standing(community)
        fold.touched[standing] = Touched(person, _NOWHERE, 0)
    return standing, fold.touched[standing]


async def _fold_purchases(
    connection: Any,
    fold: LaneFold,
    purchases: Sequence[int],
    scorecards: Mapping[int, Scorecard],
    communities: Mapping[int, Community],
) -> None:
    """As when they came: first all orders, then what each fact is worth to its buyer."""
    rows = await numbered(connection, fold.memory.lane, purchases)
    batch = [
        (row.seq, Met(row.fact, row.message, communities[row.community_no], scorecards[row.person_no], row.ruleset))
        for row in rows
        if row.person_no is not None and isinstance(row.message, PurchaseFact)
    ]
    for seq, met in batch:
        assert isinstance(met.message, PurchaseFact)
        fold.orders.fold(met, met.message, seq)
    for seq, met in batch:
        fold.memory.next_seq = seq
        fold.add([met])


async def _scorecards(connection: Any, numbers: set[int]) -> Mapping[int, Scorecard]:
    rows = await connection.fetch(
        "select person_no, organization, person from persons where person_no = any ($1)", sorted(numbers)
    )
    return {number: Scorecard(organization, person, number) for number, organization, person in rows}


async def _meet(connection: Any, communities: dict[int, Community], numbers: set[int]) -> None:
    if unknown := numbers - communities.keys():
        rows = await connection.fetch(
            """
            select community_no, community::text, organization, zone, half_life_days
              from communities
             where community_no = any ($1)
            """,
            sorted(unknown),
        )
        for number, id, organization, zone, half_life_days in rows:
            communities[number] = Community(id, organization, zone, number, half_life_days)
