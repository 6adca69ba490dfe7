"""One batch of commands in one transaction: lock, load, decide in turn, append once, project, commit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import msgspec

from shared import eventstore
from shared.commands.cache import HeadCache
from shared.commands.command import Answer, Command, Done, Lookup, Stream
from shared.commands.groups import (
    groups_of_conflict,
    key_name,
    lock_number,
    locks_of,
    names,
)
from shared.commands.locks import try_locks, wait_locks
from shared.commands.writeset import WriteSet
from shared.commands.writing import Writing
from shared.errors import Conflict, Invalid, Refusal
from shared.failpoints import failpoint
from shared.outages import outage_of


@dataclass
class Outcome:
    """What became of the commands of a batch, by their number in it.

    Attributes:
        done: committed, to be answered.
        refused: answered with a refusal (or with the error that `decide` raised).
        again: in conflict; to be decided anew in a later transaction.
        elsewhere: met a lock that is held elsewhere; each group to be run in a batch that waits.
    """

    done: dict[int, Done] = field(default_factory=dict)
    refused: dict[int, Exception] = field(default_factory=dict)
    again: list[int] = field(default_factory=list)
    elsewhere: list[list[int]] = field(default_factory=list)


class CommitUnknown(Exception):
    """COMMIT was sent and its answer lost: the batch may or may not be written."""


class Batch:
    """Commands that share one transaction.

    Args:
        commands: at least one.
        wait: wait for locks (one group that met a held lock) instead of passing such commands on.
    """

    def __init__(
        self,
        writing: Writing,
        cache: HeadCache,
        commands: Sequence[Command],
        *,
        wait: bool,
    ) -> None:
        self._writing = writing
        self._cache = cache
        self._commands = commands
        self._wait = wait
        self._groups = groups_of_conflict(commands)
        self._outcome = Outcome()
        self._answers: dict[int, Answer] = {}
        self._first_use: dict[tuple[str, str], int] = {}
        self._repeats: list[tuple[int, int]] = []
        self._seen: dict[int, list[int]] = {}

    async def run(self, connection: asyncpg.Connection) -> Outcome:
        """Run the transaction to its end.

        Raises:
            CommitUnknown: the connection was lost during COMMIT.
            Exception: nothing was written.
        """
        transaction = connection.transaction()
        await transaction.start()
        try:
            written = await self._write(connection)
            await failpoint("gateway.before-commit")
        except BaseException:
            await _rollback(transaction)
            raise
        try:
            await transaction.commit()
        except Exception as error:
            if isinstance(error, asyncpg.PostgresError) and outage_of(error) is None:
                raise  # the server said no: nothing is written
            raise CommitUnknown from error
        await failpoint("gateway.after-commit")
        if written is not None:
            self._remember(*written)
        return self._outcome

    async def _write(self, connection: asyncpg.Connection) -> tuple[WriteSet, eventstore.Appended] | None:
        running = await self._lock(connection)
        await failpoint("gateway.after-locks")
        running = await self._answer_repeats(connection, running)
        if not running:
            return None
        writes = await self._load(connection, running)
        await failpoint("gateway.after-load")
        for number in running:
            self._decide(number, writes)
        await failpoint("gateway.before-append")
        if not writes.facts and not writes.keys:
            self._answer(running, writes, None)
            return None
        appended = await eventstore.append(
            connection,
            service=self._writing.service,
            topic=self._writing.topic,
            recorded_at=writes.recorded_at,
            commands=len(self._commands),
            heads=[
                (stream.id, writes.loaded_version(stream), self._groups[number])
                for number in running
                for stream in (
                    *self._commands[number].writes,
                    *self._commands[number].reads,
                )
            ],
            facts=writes.facts,
            keys=writes.keys,
        )
        await failpoint("gateway.after-append")
        self._answer(running, writes, appended)
        recorded = [
            fact for fact, sequence in zip(writes.recorded, appended.sequences, strict=True) if sequence is not None
        ]
        if recorded:
            await self._writing.project(connection, recorded)
        if due := writes.due_snapshots(appended):
            await eventstore.save_snapshots(connection, due)
        return writes, appended

    async def _lock(self, connection: asyncpg.Connection) -> list[int]:
        """Take the locks; return the commands that have all of theirs."""
        numbers = list(range(len(self._commands)))
        locks = locks_of(self._commands)
        if self._wait:
            await wait_locks(connection, locks)
            return numbers
        held = await try_locks(connection, locks)
        if not held:
            return numbers
        for number in numbers:
            key = key_name(self._commands[number])
            if key is not None and lock_number(key) in held:
                self._outcome.refused[number] = Conflict(
                    "idempotency-key-in-use",
                    "A request with this Idempotency-Key is still running. Repeat the request to get its answer.",
                )
        waiting: dict[int, list[int]] = {
            self._groups[number]: []
            for number in numbers
            if number not in self._outcome.refused
            and any(lock_number(name) in held for name, _ in names(self._commands[number]))
        }
        running: list[int] = []
        for number in numbers:
            if number not in self._outcome.refused:
                waiting.get(self._groups[number], running).append(number)
        self._outcome.elsewhere = list(waiting.values())
        return running

    async def _answer_repeats(self, connection: asyncpg.Connection, numbers: Sequence[int]) -> list[int]:
        """Answer the commands whose key was used before; return the others."""
        keys = {number: key for number in numbers if (key := self._commands[number].idempotency) is not None}
        stored = await eventstore.stored_answers(connection, [(key.caller, key.key) for key in keys.values()])
        running: list[int] = []
        for number in numbers:
            key = keys.get(number)
            row = stored.get((key.caller, key.key)) if key else None
            if key is None or row is None:
                running.append(number)
            elif (row["route"], row["body_hash"]) != (key.route, key.body_hash):
                self._outcome.refused[number] = key_reused()
            else:
                answer = Answer(row["status"], row["body"], msgspec.json.decode(row["headers"]))
                self._outcome.done[number] = Done(answer, row["token"], repeated=True)
        return running

    async def _load(self, connection: asyncpg.Connection, numbers: Sequence[int]) -> WriteSet:
        streams: dict[str, Stream[Any]] = {}
        wanted: dict[str, tuple[Lookup[Any, Any], set[Any]]] = {}
        for number in numbers:
            command = self._commands[number]
            for stream in (*command.writes, *command.reads):
                streams[stream.id] = stream
            for lookup, key in command.lookups:
                wanted.setdefault(lookup.name, (lookup, set()))[1].add(key)
        now, heads = await eventstore.load(connection, list(streams.values()), self._cache.known(streams))
        found: dict[tuple[str, Any], Any] = {}
        for name, (lookup, lookup_keys) in wanted.items():
            for key, value in (await lookup.load(connection, lookup_keys)).items():
                found[name, key] = value
        return WriteSet(self._writing, streams, heads, found, now)

    def _decide(self, number: int, writes: WriteSet) -> None:
        command = self._commands[number]
        key = command.idempotency
        if key is not None and (first := self._first_use.get((key.caller, key.key))) is not None:
            if self._commands[first].idempotency == key:
                self._repeats.append((number, first))
            else:
                self._outcome.refused[number] = key_reused()
            return
        self._seen[number] = seen = writes.seen(command)
        try:
            decision = command.decide(writes)
            if key is not None and seen and not any(decision.events.values()):
                # Its answer is kept with the positions of facts that have none before the append: decide it after them.
                self._outcome.again.append(number)
                return
            writes.accept(number, self._groups[number], command, decision)
        except Exception as error:
            self._outcome.refused[number] = error
        else:
            self._answers[number] = decision.answer
            if key is not None:
                self._first_use[key.caller, key.key] = number

    def _answer(
        self,
        numbers: Sequence[int],
        writes: WriteSet,
        appended: eventstore.Appended | None,
    ) -> None:
        """Say what each command is told after the commit."""
        conflicts = appended.conflicts if appended else eventstore.NO_CONFLICTS
        for number in numbers:
            if self._groups[number] in conflicts:
                self._outcome.refused.pop(number, None)
                if number not in self._outcome.again:
                    self._outcome.again.append(number)
                continue
            token = appended.tokens[number] if appended else None
            if token is None and number in self._seen:
                token = writes.token(self._commands[number], self._seen[number], appended)
            if (answer := self._answers.get(number)) is not None:
                self._outcome.done[number] = Done(answer, token or "")
            elif isinstance(refusal := self._outcome.refused.get(number), Refusal):
                refusal.token = token or ""
        for number, first in self._repeats:
            if first in self._outcome.done:
                answered = self._outcome.done[first]
                self._outcome.done[number] = Done(answered.answer, answered.token, repeated=True)

    def _remember(self, writes: WriteSet, appended: eventstore.Appended) -> None:
        for command, group in zip(self._commands, self._groups, strict=True):
            if group in appended.conflicts:
                self._cache.forget(stream.id for stream in (*command.writes, *command.reads))
        self._cache.remember((stream.id, head) for stream, head in writes.heads(appended))


async def _rollback(transaction: Any) -> None:
    try:
        await transaction.rollback()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return  # the connection is gone, and the transaction with it


def key_reused() -> Invalid:
    """The refusal of a key that stands for another request."""
    return Invalid(
        "idempotency-key-reused",
        "This Idempotency-Key was used for a different request. Use a new key for a new request.",
    )
