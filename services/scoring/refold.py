"""Fold the journal into the shadow's tables, in short transactions each of which moves the progress of its lane.

What stood in a lane when the rebuild began is folded person by person (`bulk`), what came since row by row, as the lanes
themselves do.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from services.scoring.boards import Layout, hold_layout
from services.scoring.bulk import Persons, fold_persons, read_persons
from services.scoring.fold import LaneFold
from services.scoring.folding import begin, communities_of, complete
from services.scoring.journaled import Journaled, page
from services.scoring.meeting import meet
from services.scoring.memory import LaneMemory
from services.scoring.recall import give_numbers
from services.scoring.rulesetreads import PublishedRulesets
from services.scoring.scorecard import Community
from services.scoring.writing import write_results
from shared.failpoints import failpoint
from shared.messaging.facts import Poison
from shared.messaging.lanes import LOCK
from shared.shadow import SCHEMA

PERSONS_PAGE = 5000
"""Journal rows, about, that are folded person by person in one transaction."""

PAGE = 2000
"""Journal rows that are folded one after the other in one transaction."""

_OF_THE_SHADOW = f"scoring {SCHEMA}"
"""Whose lanes are locked by who folds a page: several rebuilds at once share the work."""

_TRY_LOCK = "select pg_try_advisory_xact_lock(hashtext('lane ' || $1), $2)"

MOST_PERSONS, MOST_COUNTS = 2_000, 10_000
"""Remembered of each lane."""

_READ_LONG = "set local work_mem = '64MB'; set local idle_in_transaction_session_timeout = 0"
"""What does not fit is sorted on disk. A page may take its time."""

_MOVE = "update progress set person = $3, seq = $4, stamp = $5 where lane = $1 and stamp = $2 returning true"

_BEFORE_GAP = """
select coalesce(max(seq), 0)
  from (select seq, row_number() over (order by seq) as place from journal where lane = $1) as numbered
 where seq = place
"""


class Place(NamedTuple):
    """How far a lane is; columns of `progress`."""

    through: int
    person: int | None
    seq: int
    stamp: UUID


class Refold:
    """Folds the journal into the shadow's tables.

    Memory of a lane is valid only while the lane's progress has the stamp that this object's last acknowledged commit
    gave it: the same journal number may be reached by other rows, where somebody began anew.

    Args:
        lanes: all that there are.
        page_rows: bounds the transactions, instead of PERSONS_PAGE and PAGE.
    """

    def __init__(self, lanes: Sequence[int], page_rows: int | None = None) -> None:
        self.lanes = lanes
        self.page_rows = page_rows or PAGE
        self._persons_page = page_rows or PERSONS_PAGE
        self._layout = Layout()
        self._rulesets = PublishedRulesets()
        self._memories: dict[int, tuple[UUID, LaneMemory]] = {}

    async def fold_persons(
        self, reader: Any, writer: Any, lane: int, *, wait: bool, folded: Callable[[int], None]
    ) -> bool:
        """Fold what stood in a lane when the rebuild began, person by person.

        Args:
            reader: a connection that holds the lane meanwhile, and writes nothing: a long transaction that has written
                would keep back every relay of the cluster.
            writer: another one, for short transactions.
            wait: until nobody else is at it.
            folded: is told how many rows were, every time.

        Returns:
            Whether it is done; else somebody else is at it.

        Raises:
            ValueError: the journal cannot be folded.
        """
        async with reader.transaction():
            if wait:
                await reader.execute(LOCK, _OF_THE_SHADOW, [lane])
            elif not await reader.fetchval(_TRY_LOCK, _OF_THE_SHADOW, lane):
                return False
            place = await _place(reader, lane)
            if place.person is None:
                return True
            await _refuse_gaps(reader, lane, place.through)
            communities: dict[int, Community] = {}
            await reader.execute(_READ_LONG)
            async for persons in read_persons(reader, lane, place.through, place.person, self._persons_page):
                place = await self._write_persons(writer, persons, communities, place)
                folded(len(persons.rows))
            await _move(writer, lane, place._replace(person=None, seq=place.through))
        folded(place.through - place.seq)  # rows that change nobody's numbers
        return True

    async def fold_page(self, connection: Any, lane: int) -> int:
        """Fold the next rows of a lane and move its progress, in one transaction; the number of rows.

        Raises:
            ValueError: the journal cannot be folded, or somebody has begun anew.
        """
        async with connection.transaction():
            await connection.execute(LOCK, _OF_THE_SHADOW, [lane])
            await hold_layout(connection)
            place = await _place(connection, lane)
            if place.person is not None:
                raise ValueError("somebody else has begun this rebuild anew")
            rows = await page(connection, lane, place.seq, self.page_rows)
            if not rows:
                return 0
            if rows[-1].seq != place.seq + len(rows):
                raise ValueError(f"rows are missing from the journal of lane {lane} after {place.seq}")
            stamp, memory = self._memories.pop(lane, (None, LaneMemory(lane, place.seq + 1)))
            if stamp != place.stamp:
                memory = LaneMemory(lane, place.seq + 1)
            with _named(lane):
                await self._fold(connection, memory, rows)
            moved = await _move(connection, lane, place._replace(seq=rows[-1].seq))
            await failpoint("rebuild.before-page-commit")
        self._memories[lane] = moved.stamp, memory
        await failpoint("rebuild.after-page")
        return len(rows)

    async def fold_rest(self, connection: Any) -> None:
        """Fold what is left in all lanes. Whoever calls this keeps the lanes from going on."""
        for lane in self.lanes:
            while await self.fold_page(connection, lane) == self.page_rows:
                pass

    async def _write_persons(
        self, connection: Any, persons: Persons, communities: dict[int, Community], before: Place
    ) -> Place:
        """Fold and write some persons; where the lane is then. What it is found to be at first is also what keeps the
        tables from being swapped meanwhile, after which the live ones would be written."""
        async with connection.transaction():
            if await _place(connection, persons.lane) != before:
                raise ValueError(f"somebody else has folded lane {persons.lane} meanwhile, or begun anew")
            await hold_layout(connection)
            with _named(persons.lane):
                fold = await fold_persons(connection, persons, communities, self._rulesets)
            await self._write(connection, fold, fresh=True)
            after = before._replace(person=persons.last, seq=before.seq + len(persons.rows))
            place = await _move(connection, persons.lane, after)
            await failpoint("rebuild.before-page-commit")
        await failpoint("rebuild.after-page")
        return place

    async def _fold(self, connection: Any, memory: LaneMemory, rows: Sequence[Journaled]) -> None:
        batch = meet(memory, (row.fact for row in rows), (row.message for row in rows), (row.ruleset for row in rows))
        (fold,) = await begin(connection, [memory], [batch], self._rulesets)
        await give_numbers(connection, [memory])
        complete([fold], [batch])
        await self._write(connection, fold, fresh=False)
        memory.settle(fold.touched, max_persons=MOST_PERSONS, max_counts=MOST_COUNTS)

    async def _write(self, connection: Any, fold: LaneFold, *, fresh: bool) -> None:
        beginnings = await self._layout.of(connection, communities_of([fold]))
        await write_results(connection, [fold], beginnings, fresh=fresh)


async def _place(connection: Any, lane: int) -> Place:
    row = await connection.fetchrow("select through, person, seq, stamp from progress where lane = $1", lane)
    return Place(*row)


async def _move(connection: Any, lane: int, place: Place) -> Place:
    """Store how far the lane is, if it stands where it was found."""
    stamp = uuid4()
    if not await connection.fetchval(_MOVE, lane, place.stamp, place.person, place.seq, stamp):
        raise ValueError(f"somebody else has folded lane {lane} meanwhile, or begun anew")
    return place._replace(stamp=stamp)


async def _refuse_gaps(connection: Any, lane: int, through: int) -> None:
    count = await connection.fetchval("select count(*) from journal where lane = $1 and seq <= $2", lane, through)
    if count != through:
        after = await connection.fetchval(_BEFORE_GAP, lane)
        raise ValueError(f"rows are missing from the journal of lane {lane} after {after}")


@contextmanager
def _named(lane: int) -> Iterator[None]:
    """Tell which row of the journal is bad."""
    try:
        yield
    except Poison as error:
        raise ValueError(f"journal of lane {lane}, row {error.fact.offset}: {error.reason}") from error
