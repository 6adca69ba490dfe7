"""Keep the ranks of large boards cheap: count members per bucket of keys, and split buckets by size.

A rank is the sum of the buckets above plus a count inside the own bucket. Lanes add to the counts in their own
transactions, for which they must know where buckets begin: they hold the layout lock shared from before their first
read, and whoever moves a beginning holds it exclusively and replaces the layout's stamp.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple
from uuid import UUID

import structlog

from services.scoring.scorecard import Place
from shared.database import ACQUIRE_SECONDS
from shared.failpoints import failpoint

log = structlog.get_logger()

LAYOUT_LOCK = 7_311_001
"""Advisory lock: where buckets begin."""

LOWEST = -(2**63)
"""The beginning of a board's first bucket."""

OVERSIZED = 4000
"""Members above which a bucket is split. The partial index `rank_buckets_oversized` names the same number."""

FULL = 2000
"""Members that a split leaves in a bucket, unless a single key has more."""

LAYOUT_LOCK_TIMEOUT = "2s"


class Metric(IntEnum):
    """Boards by what they rank. The numbers are stored."""

    ACTIVITY = 1
    POINTS = 2
    COMMISSION = 3

    __hash__ = int.__hash__  # an enum's own hashes its name, in Python, for every standing that moves

    @property
    def table(self) -> str:
        """Where the standings of the board are; one row per member, with `community_no` and `person`."""
        return "commission_standings" if self is Metric.COMMISSION else "standings"

    @property
    def column(self) -> str:
        """The column that orders the board."""
        return "activity_key" if self is Metric.ACTIVITY else self.name.lower()

    @property
    def on_board(self) -> str:
        """The condition under which a standing is on the board, as in the board's partial index."""
        return f"active and {self.column} " + ("is not null" if self is Metric.ACTIVITY else "<> 0")


class Bucket(NamedTuple):
    lower_key: int
    members: int


Board = tuple[Metric, int]
"""(metric, community number)"""


Moved = tuple[int, int | None, int | None]
"""(community number, key before, key after); None: not on the board."""


class Beginnings(NamedTuple):
    """Where the buckets of some boards begin, but for the first bucket of each; boards left out have that one only."""

    lower_keys: Mapping[Board, Sequence[int]]

    def bucket_of(self, board: Board, key: int) -> int:
        """The lower key of the bucket that holds the key."""
        lower_keys = self.lower_keys.get(board, ())
        place = bisect_right(lower_keys, key)
        return lower_keys[place - 1] if place else LOWEST

    def moves(
        self, changes: Iterable[tuple[int, Place, Place]], commission: Iterable[Moved] = ()
    ) -> list[tuple[Metric, int, int, int]]:
        """What these changes (community number, before, after), and these of the commission board, add to buckets:
        (metric, community number, lower key, members), sorted. Moves inside a bucket cancel out."""
        added: Counter[tuple[Metric, int, int]] = Counter()
        for community, before, after in changes:
            if before.activity != after.activity:
                self._move(added, (Metric.ACTIVITY, community), before.activity, after.activity)
            if before.points != after.points:
                self._move(added, (Metric.POINTS, community), before.points, after.points)
        for community, old, new in commission:
            self._move(added, (Metric.COMMISSION, community), old, new)
        return sorted((*bucket, members) for bucket, members in added.items() if members)

    def _move(self, added: Counter[tuple[Metric, int, int]], board: Board, old: int | None, new: int | None) -> None:
        left = None if old is None else self.bucket_of(board, old)
        entered = None if new is None else self.bucket_of(board, new)
        if left == entered:
            return
        if left is not None:
            added[*board, left] -= 1
        if entered is not None:
            added[*board, entered] += 1


class Layout:
    """Remembers where buckets begin for as long as the layout has the same stamp."""

    def __init__(self, *, most_communities: int = 10_000) -> None:
        self._most_communities = most_communities
        self._stamp: UUID | None = None
        self._known: dict[int, dict[Board, list[int]]] = {}

    async def of(self, connection: Any, communities: Collection[int]) -> Beginnings:
        """The boards of these communities. The connection must hold the layout lock, shared."""
        stamp = await connection.fetchval("select stamp from rank_layout")
        if stamp != self._stamp or len(self._known) > self._most_communities:
            self._known = {}
            self._stamp = stamp
        known = self._known
        if missing := [community for community in communities if community not in known]:
            rows = await connection.fetch(
                """
                select metric, community_no, lower_key
                  from rank_buckets
                 where metric = any ($1)
                   and community_no = any ($2)
                   and lower_key > $3
                 order by lower_key
                """,
                list(Metric),
                missing,
                LOWEST,
            )
            boards: dict[int, dict[Board, list[int]]] = {community: {} for community in missing}
            for metric, community, lower_key in rows:
                boards[community].setdefault((Metric(metric), community), []).append(lower_key)
            known |= boards
        return Beginnings({board: keys for community in communities for board, keys in known[community].items()})


async def hold_layout(connection: Any) -> None:
    """Keep buckets where they begin until the transaction ends. A statement of its own, before anything is read."""
    await connection.execute("select pg_advisory_xact_lock_shared($1)", LAYOUT_LOCK)


async def split_oversized(pool: Any, *, oversized: int = OVERSIZED) -> int:
    """Split the buckets with more members than `oversized`; the number of boards that were changed.

    To be called every second or so; one indexed query when there is nothing to do. Each board is split in a short
    transaction that keeps the lanes waiting and counts the members of its large buckets anew. A bucket of one key
    (the next begins at the next integer) is never split.
    """
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        boards = await connection.fetch(
            """
            select distinct metric, community_no
              from rank_buckets as large
             where members > $1
               and not exists (select
                                 from rank_buckets as next
                                where next.metric = large.metric
                                  and next.community_no = large.community_no
                                  and next.lower_key = large.lower_key + 1)
            """,
            oversized,
        )
        for metric, community in boards:
            async with connection.transaction():
                await connection.execute(f"set local lock_timeout = '{LAYOUT_LOCK_TIMEOUT}'")
                await connection.execute("select pg_advisory_xact_lock($1)", LAYOUT_LOCK)
                await _split(connection, (Metric(metric), community), oversized)
                await failpoint("scoring.before-split-commit")
    return len(boards)


async def _split(connection: Any, board: Board, oversized: int) -> None:
    metric, community = board
    rows = await connection.fetch(
        "select lower_key, members from rank_buckets where metric = $1 and community_no = $2 order by lower_key", *board
    )
    before = [Bucket(*row) for row in rows]
    uppers = [bucket.lower_key for bucket in before[1:]] + [None]
    after: list[Bucket] = []
    for bucket, upper in zip(before, uppers, strict=True):
        if bucket.members <= oversized or upper == bucket.lower_key + 1:
            after.append(bucket)
            continue
        groups = await connection.fetch(
            f"""
            select {metric.column}, count(*)
              from {metric.table}
             where community_no = $1
               and {metric.on_board}
               and {metric.column} >= $2
               and ({metric.column} < $3 or $3 is null)
             group by 1
             order by 1
            """,
            community,
            bucket.lower_key,
            upper,
        )
        if (counted := sum(count for _, count in groups)) != bucket.members:
            log.error("scoring.bucket-miscounted", board=board, bucket=bucket, counted=counted)
        after += cut(groups, bucket.lower_key)
    await _rewrite(connection, board, before, coalesce(after))


async def _rewrite(connection: Any, board: Board, before: Sequence[Bucket], after: Sequence[Bucket]) -> None:
    kept = {bucket.lower_key for bucket in after}
    changed = sorted(set(after) - set(before))
    await connection.execute(
        "delete from rank_buckets where metric = $1 and community_no = $2 and lower_key = any ($3)",
        *board,
        [bucket.lower_key for bucket in before if bucket.lower_key not in kept],
    )
    await connection.execute(
        """
        insert into rank_buckets (metric, community_no, lower_key, members)
        select $1, $2, lower_key, members
          from unnest($3::bigint[], $4::integer[]) as changed (lower_key, members)
            on conflict (metric, community_no, lower_key) do update set members = excluded.members
        """,
        *board,
        [bucket.lower_key for bucket in changed],
        [bucket.members for bucket in changed],
    )
    await connection.execute("update rank_layout set stamp = gen_random_uuid()")


def cut(groups: Iterable[tuple[int, int]], lower_key: int) -> list[Bucket]:
    """Buckets of at most FULL members from `lower_key` up, for these (key, members) in rising order of keys.

    A key with more members gets a bucket of its own, whose neighbour above begins at the next integer.
    """
    buckets = []
    members = 0
    for key, count in groups:
        if members and members + count > FULL:
            buckets.append(Bucket(lower_key, members))
            lower_key, members = key, 0
        if count > FULL:
            if lower_key < key:
                buckets.append(Bucket(lower_key, 0))
            buckets.append(Bucket(key, count))
            lower_key, members = key + 1, 0
        else:
            members += count
    buckets.append(Bucket(lower_key, members))
    return buckets


def coalesce(buckets: Sequence[Bucket]) -> list[Bucket]:
    """The same ranges with neighbours joined where both together hold at most half of FULL.

    Keys rise as time passes, so buckets empty from below; without this a board would gain buckets for ever.
    """
    joined: list[Bucket] = []
    for bucket in buckets:
        if joined and joined[-1].members + bucket.members <= FULL // 2:
            joined[-1] = Bucket(joined[-1].lower_key, joined[-1].members + bucket.members)
        else:
            joined.append(bucket)
    return joined
