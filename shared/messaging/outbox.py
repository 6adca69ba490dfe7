"""The relay's side of the outbox in SQL: what comes next, how far it is, and what may be forgotten."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from shared.position import Position

# The first row is the checkpoint's, the others are what comes after it.
_READ = """
with checkpoint as materialized (
    select topic, relay_checkpoint.epoch, transaction_id, sequence, last_positions, revision,
           database_epoch.epoch as current_epoch, pg_snapshot_xmin(pg_current_snapshot()) as horizon
      from relay_checkpoint
     cross join database_epoch
     where topic = $1
)
select null::integer as epoch, null::bigint as transaction_id, null::bigint as sequence, null::smallint as partition,
       null::text as key, null::jsonb as headers, null::bytea as value,
       last_positions, revision, current_epoch, horizon::text::bigint as horizon
  from checkpoint
 union all
select next.epoch, next.transaction_id::text::bigint, next.sequence, next.partition, next.key, next.headers, next.value,
       null, null, null, null
  from checkpoint
 cross join lateral (
        select *
          from outbox
         where outbox.topic = checkpoint.topic
           and (outbox.epoch, outbox.transaction_id, outbox.sequence)
             > (checkpoint.epoch, checkpoint.transaction_id, checkpoint.sequence)
           -- The horizon: whatever may still be committed comes after it. Rows of an earlier epoch are complete, and
           -- their transaction ids may be those of another cluster.
           and (outbox.epoch, outbox.transaction_id, outbox.sequence) < (current_epoch, horizon, 0)
         order by outbox.epoch, outbox.transaction_id, outbox.sequence
         limit $2
       ) as next
 order by epoch nulls first, transaction_id, sequence
"""

_ADVANCE = """
update relay_checkpoint
   set epoch = $3, transaction_id = $4::text::xid8, sequence = $5, last_positions = $6::text::jsonb,
       revision = revision + 1
 where topic = $1
   and revision = $2
"""

_PRUNE = """
delete from outbox
 where (epoch, transaction_id, sequence) in (
       select old.epoch, old.transaction_id, old.sequence
         from outbox as old, relay_checkpoint as checkpoint
        where checkpoint.topic = $1
          and old.topic = $1
          and (old.epoch, old.transaction_id, old.sequence) <= ($2, $3::text::xid8, $4)
          and (old.epoch, old.transaction_id, old.sequence)
           <= (checkpoint.epoch, checkpoint.transaction_id, checkpoint.sequence)
          -- The last row of every partition stays: a starting relay looks for it.
          and format('%s-%s-%s', old.epoch, old.transaction_id, old.sequence) not in (
              select value from jsonb_each_text(checkpoint.last_positions)
              )
        order by old.epoch, old.transaction_id, old.sequence
        limit $5
       )
"""

_UNKNOWN = """
select claimed.partition, claimed.epoch, claimed.transaction_id, claimed.sequence
  from unnest($1::integer[], $2::integer[], $3::text[]::xid8[], $4::bigint[])
       as claimed (partition, epoch, transaction_id, sequence)
 cross join database_epoch as current
 where claimed.epoch >= current.epoch
   and not exists (
       select
         from outbox
        where (outbox.epoch, outbox.transaction_id, outbox.sequence)
            = (claimed.epoch, claimed.transaction_id, claimed.sequence)
       )
   and not exists (
       select
         from events
        where (events.epoch, events.transaction_id, events.sequence)
            = (claimed.epoch, claimed.transaction_id, claimed.sequence)
       )
 order by claimed.partition
"""

_BACKLOG = """
select (select count(*)
          from (select
                  from outbox
                 where topic = $1
                   and (outbox.epoch, outbox.transaction_id, outbox.sequence)
                     > (checkpoint.epoch, checkpoint.transaction_id, checkpoint.sequence)
                 limit 1000000) as waiting) as events,
       (select extract(
                   epoch from clock_timestamp() - (convert_from(value, 'UTF8')::jsonb ->> 'recorded_at')::timestamptz
               )
          from outbox
         where topic = $1
           and (outbox.epoch, outbox.transaction_id, outbox.sequence)
             > (checkpoint.epoch, checkpoint.transaction_id, checkpoint.sequence)
         order by outbox.epoch, outbox.transaction_id, outbox.sequence
         limit 1)::float8 as oldest_seconds,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xmax
  from relay_checkpoint as checkpoint
 where checkpoint.topic = $1
"""

_last_positions = msgspec.json.Decoder(dict[int, str])


class Row(msgspec.Struct, frozen=True, gc=False):
    """One outbox row; `headers` is JSON."""

    epoch: int
    transaction_id: int
    sequence: int
    partition: int
    key: str
    headers: str
    value: bytes

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.transaction_id, self.sequence)


class Round(msgspec.Struct, frozen=True):
    """What one statement saw.

    Attributes:
        rows: the next rows, at most as many as were asked for.
        last_positions: of each partition that has records, the position of the last one at or below the checkpoint.
        revision: of the checkpoint.
        through: every transaction below it has ended, and its rows are among `rows` or at or below the checkpoint.
    """

    rows: Sequence[Row]
    last_positions: Mapping[int, str]
    revision: int
    through: int


class Backlog(msgspec.Struct, frozen=True):
    """Attributes:
    events: rows not acknowledged, counted to a million.
    oldest_seconds: since the first of them was recorded; None if there is none, or it does not say.
    xmin, xmax: of the snapshot.
    """

    events: int
    oldest_seconds: float | None
    xmin: int
    xmax: int


async def try_lock(connection: "asyncpg.Connection[Any]", topic: str) -> bool:
    """Take the lock of the one relay at work for this session, if nobody has it."""
    return bool(await connection.fetchval("select pg_try_advisory_lock(hashtext('relay'), hashtext($1))", topic))


async def ensure_checkpoint(connection: "asyncpg.Connection[Any]", topic: str) -> None:
    await connection.execute("insert into relay_checkpoint (topic) values ($1) on conflict do nothing", topic)


async def read(connection: "asyncpg.Connection[Any]", topic: str, *, limit: int) -> Round:
    """The next rows after the checkpoint and below the horizon, in one statement with the checkpoint itself."""
    head, *found = await connection.fetch(_READ, topic, limit)
    rows = [
        Row(epoch, transaction_id, sequence, partition, key, headers, value)
        for epoch, transaction_id, sequence, partition, key, headers, value, _, _, _, _ in found
    ]
    through = head["horizon"]
    if len(rows) == limit:
        through = rows[-1].transaction_id if rows[-1].epoch == head["current_epoch"] else 0
    return Round(rows, _last_positions.decode(head["last_positions"]), head["revision"], through)


async def advance(
    connection: "asyncpg.Connection[Any]",
    topic: str,
    *,
    revision: int,
    position: Position,
    last_positions: Mapping[int, str],
) -> bool:
    """Move the checkpoint, unless somebody else has moved it since `revision`."""
    done = await connection.execute(
        _ADVANCE,
        topic,
        revision,
        position.epoch,
        str(position.transaction_id),
        position.sequence,
        msgspec.json.encode(last_positions).decode(),
    )
    return bool(done == "UPDATE 1")


async def checkpoint(connection: "asyncpg.Connection[Any]", topic: str) -> tuple[Position, Mapping[int, str]]:
    """The checkpoint and the last position of each partition."""
    row = await connection.fetchrow(
        """
        select epoch, transaction_id::text::bigint as transaction_id, sequence, last_positions
          from relay_checkpoint
         where topic = $1
        """,
        topic,
    )
    return Position(*row[:3]), _last_positions.decode(row["last_positions"])


async def prune(connection: "asyncpg.Connection[Any]", topic: str, *, through: Position, limit: int) -> int:
    """Delete at most `limit` rows at or below `through` and the checkpoint; return how many."""
    done = await connection.execute(
        _PRUNE, topic, through.epoch, str(through.transaction_id), through.sequence, limit, timeout=60
    )
    return int(done.removeprefix("DELETE "))


async def unknown(
    connection: "asyncpg.Connection[Any]", positions: Collection[tuple[int, Position]]
) -> list[tuple[int, Position]]:
    """Those of (partition, position) that this database has not written, although its epoch is not above theirs."""
    rows = await connection.fetch(
        _UNKNOWN,
        [partition for partition, _ in positions],
        [position.epoch for _, position in positions],
        [str(position.transaction_id) for _, position in positions],
        [position.sequence for _, position in positions],
        timeout=600,  # events that are not in the outbox any more are looked for without an index
    )
    return [(row[0], Position(row[1], row[2], row[3])) for row in rows]


async def backlog(connection: "asyncpg.Connection[Any]", topic: str) -> Backlog:
    row = await connection.fetchrow(_BACKLOG, topic)
    return Backlog(row["events"], row["oldest_seconds"], row["xmin"], row["xmax"])
