"""Streams of facts in PostgreSQL: load what is there, append under an expected version."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import msgspec

from shared.commands.command import Stream
from shared.position import Position

NO_CONFLICTS: frozenset[int] = frozenset()


class Head(msgspec.Struct, frozen=True):
    """A stream as last read: its folded state, its version, and where its last published fact stands.

    Attributes:
        state: folded from all facts up to `version`.
        version: number of facts.
        partition: of the last fact, or None if that one was not published (or there is none).
        position: of the last fact, or None.
    """

    state: Any
    version: int
    partition: int | None = None
    position: Position | None = None


class NewFact(msgspec.Struct, frozen=True, gc=False):
    """A row to append: the fact, the message it is published as (partition None: not published), and its cause as JSON."""

    group: int
    command: int
    stream_id: str
    version: int
    event_id: str
    type: str
    data: str
    occurred_at: datetime
    partition: int | None
    key: str | None
    headers: str | None
    value: bytes | None
    cause: str | None = None


class NewKey(msgspec.Struct, frozen=True, gc=False):
    """An idempotency key to store with its answer."""

    group: int
    command: int
    caller: str
    key: str
    route: str
    body_hash: bytes
    status: int
    headers: str
    body: bytes
    token: str
    expires_at: datetime | None


class Appended(NamedTuple):
    """What one append did.

    Attributes:
        conflicts: groups of which nothing was written.
        sequences: per fact; None where its group was not written.
        tokens: per command; None where nothing was published.
    """

    epoch: int
    transaction_id: int
    conflicts: frozenset[int]
    sequences: Sequence[int | None]
    tokens: Sequence[str | None]


_LOAD = """
select given.place, clock.now, fact.version, fact.type, fact.data, fact.epoch, fact.transaction_id, fact.sequence,
       fact.partition
  from (select clock_timestamp() as now) as clock
  left join unnest($1::text[], $2::bigint[]) with ordinality as given (stream_id, after, place) on true
  left join lateral (
        select version, type, data, epoch, transaction_id::text::bigint as transaction_id, sequence, partition
          from events
         where events.stream_id = given.stream_id and events.version > given.after
         order by version) as fact on true
 order by given.place, fact.version
"""

_SNAPSHOTS = """
select stream_id, version, fold_version, state, epoch, transaction_id::text::bigint as transaction_id, sequence, partition
  from snapshots
 where stream_id = any($1)
"""

_APPEND = f"""
select epoch, transaction_id, conflicts, sequences, tokens
  from append_batch({", ".join(f"${number}" for number in range(1, 32))})
"""

_ANSWERS = """
select stored.caller, stored.key, route, body_hash, status, headers, body, token
  from unnest($1::text[], $2::text[]) as given (caller, key)
  join idempotency_keys as stored on (stored.caller, stored.key) = (given.caller, given.key)
"""

_SNAPSHOT = """
insert into snapshots (stream_id, version, fold_version, state, epoch, transaction_id, sequence, partition)
select given.stream_id, given.version, given.fold_version, given.state, given.epoch, given.transaction_id::text::xid8,
       given.sequence, given.partition
  from unnest($1::text[], $2::bigint[], $3::integer[], $4::bytea[], $5::integer[], $6::bigint[], $7::bigint[],
              $8::smallint[])
       as given (stream_id, version, fold_version, state, epoch, transaction_id, sequence, partition)
 order by given.stream_id
    on conflict (stream_id) do update
   set version = excluded.version, fold_version = excluded.fold_version, state = excluded.state,
       epoch = excluded.epoch, transaction_id = excluded.transaction_id, sequence = excluded.sequence,
       partition = excluded.partition
 where snapshots.version < excluded.version or snapshots.fold_version <> excluded.fold_version
"""


async def load(
    connection: asyncpg.Connection,
    streams: Sequence[Stream[Any]],
    known: Mapping[str, Head],
) -> tuple[datetime, dict[str, Head]]:
    """Read the current state of `streams`, and the database's clock, in one query.

    Args:
        known: heads read earlier. They spare the folding, not the reading: facts that came since are read and folded.

    Returns:
        The clock, and the head of every stream (version 0 and the initial state for one that does not exist).
    """
    known = dict(known)
    if unknown := [stream for stream in streams if stream.fold.snapshot_every and stream.id not in known]:
        known |= await _snapshots(connection, unknown)
    heads = {stream.id: known.get(stream.id) or Head(stream.fold.initial, 0) for stream in streams}
    rows = await connection.fetch(
        _LOAD,
        [stream.id for stream in streams],
        [heads[stream.id].version for stream in streams],
    )
    newer: dict[int, list[Any]] = {}
    for row in rows:
        if row[2] is not None:
            newer.setdefault(row[0], []).append(row)
    for place, facts in newer.items():
        stream = streams[place - 1]
        decode = stream.fold.codec.decode
        state = stream.fold.of((decode(row[3], row[4]) for row in facts), heads[stream.id].state)
        last = facts[-1]
        heads[stream.id] = Head(state, last[2], last[8], Position(last[5], last[6], last[7]))
    return rows[0][1], heads


async def _snapshots(connection: asyncpg.Connection, streams: Sequence[Stream[Any]]) -> dict[str, Head]:
    by_id = {stream.id: stream for stream in streams}
    heads = {}
    for row in await connection.fetch(_SNAPSHOTS, list(by_id)):
        fold = by_id[row["stream_id"]].fold
        if row["fold_version"] != fold.version:
            continue
        try:
            state = msgspec.msgpack.decode(row["state"], type=fold.state_type)
        except msgspec.MsgspecError:
            continue
        position = Position(row["epoch"], row["transaction_id"], row["sequence"])
        heads[row["stream_id"]] = Head(state, row["version"], row["partition"], position)
    return heads


async def append(
    connection: asyncpg.Connection,
    *,
    service: str,
    topic: str,
    recorded_at: datetime,
    commands: int,
    heads: Sequence[tuple[str, int, int]],
    facts: Sequence[NewFact],
    keys: Sequence[NewKey],
) -> Appended:
    """Write facts, outbox rows and keys; must be the first write of the transaction.

    Args:
        commands: number of commands in the batch; facts and keys refer to them by number, from 0.
        heads: (stream id, version it was read at, group) of every stream that a group read or writes.

    Raises:
        asyncpg.UniqueViolationError: somebody who takes no stream locks wrote in this very moment.
    """
    row = await connection.fetchrow(
        _APPEND,
        service,
        topic,
        recorded_at,
        commands,
        *_columns(heads, 3),
        *_columns([msgspec.structs.astuple(fact) for fact in facts], 13),
        *_columns([msgspec.structs.astuple(key) for key in keys], 11),
    )
    return Appended(
        epoch=row["epoch"],
        transaction_id=int(row["transaction_id"]),
        conflicts=frozenset(row["conflicts"]) or NO_CONFLICTS,
        sequences=row["sequences"] or (),
        tokens=row["tokens"] or (),
    )


async def stored_answers(
    connection: asyncpg.Connection, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], asyncpg.Record]:
    """The answers kept under these (caller, key) pairs, as rows of `idempotency_keys`."""
    if not keys:
        return {}
    rows = await connection.fetch(_ANSWERS, *_columns(keys, 2))
    return {(row["caller"], row["key"]): row for row in rows}


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


async def save_snapshots(connection: asyncpg.Connection, heads: Sequence[tuple[Stream[Any], Head]]) -> None:
    """Keep the folded state of long streams; a newer snapshot is never replaced by an older one."""
    rows = [
        (
            stream.id,
            head.version,
            stream.fold.version,
            msgspec.msgpack.encode(head.state),
            *head.position,
            head.partition,
        )
        for stream, head in heads
        if head.position is not None
    ]
    await connection.execute(_SNAPSHOT, *_columns(rows, 8))
