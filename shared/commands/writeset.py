"""What a batch is about to write: the streams as they become command by command, and the rows of the one append."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import uuid_utils

from shared.commands.cause import encode
from shared.commands.command import Command, Decision, Lookup, Stream
from shared.commands.factrows import fact_row
from shared.commands.recorded import Recorded
from shared.commands.writing import Writing
from shared.eventstore import Appended, Head, NewFact, NewKey
from shared.position import Position, Token


@dataclass
class _Live:
    """A stream within the batch: as loaded, and with what this batch has decided so far."""

    stream: Stream[Any]
    loaded: Head
    state: Any
    version: int
    last_fact: int | None = None


class WriteSet:
    """The streams of a batch and the rows to append.

    Args:
        heads: every stream of the batch, as loaded.
        found: (look-up name, key) -> value, as loaded; decisions may change it.
        recorded_at: the database's clock.
    """

    def __init__(
        self,
        writing: Writing,
        streams: Mapping[str, Stream[Any]],
        heads: Mapping[str, Head],
        found: dict[tuple[str, Any], Any],
        recorded_at: datetime,
    ) -> None:
        self.recorded_at = recorded_at
        self.facts: list[NewFact] = []
        self.recorded: list[Recorded] = []
        self.keys: list[NewKey] = []
        self._writing = writing
        self._found = found
        self._live = {id: _Live(streams[id], head, head.state, head.version) for id, head in heads.items()}

    # What `decide` sees (shared.commands.command.Known)

    def state(self, stream: Stream[Any]) -> Any:
        return self._live[stream.id].state

    def version(self, stream: Stream[Any]) -> int:
        return self._live[stream.id].version

    def found(self, lookup: Lookup[Any, Any], key: Any) -> Any:
        return self._found.get((lookup.name, key))

    # What the batch does with it

    def loaded_version(self, stream: Stream[Any]) -> int:
        return self._live[stream.id].loaded.version

    def seen(self, command: Command) -> list[int]:
        """The facts of this batch that the command's streams already hold: the last one of each stream."""
        return [
            fact
            for stream in (*command.writes, *command.reads)
            if (fact := self._live[stream.id].last_fact) is not None
        ]

    def accept(self, number: int, group: int, command: Command, decision: Decision) -> None:
        """Take a decision in whole: its facts, its key, and what it teaches later commands of the batch.

        Raises:
            ValueError: it writes to a stream that the command does not name. Nothing is taken then.
        """
        writes = {stream.id for stream in command.writes}
        cause = encode(command.cause, command.idempotency.key if command.idempotency is not None else None)
        recorded: list[Recorded] = []
        facts: list[NewFact] = []
        after: dict[str, tuple[Any, int]] = {}
        for stream, events in decision.events.items():
            if stream.id not in writes:
                raise ValueError(f"a command may only write to the streams it names; {stream.id} is not among them")
            version, state = self.version(stream), self.state(stream)
            for event in events:
                version += 1
                state = stream.fold.evolve(state, event)
                fact = Recorded(
                    stream.id,
                    version,
                    str(uuid_utils.uuid7()),
                    event,
                    event.occurred_at,
                    self.recorded_at,
                )
                recorded.append(fact)
                facts.append(
                    fact_row(
                        self._writing,
                        stream.fold.codec,
                        fact,
                        group=group,
                        command=number,
                        traceparent=command.traceparent,
                        cause=cause,
                    )
                )
            after[stream.id] = (state, version)
        if command.idempotency is not None:
            self.keys.append(self._key_row(number, group, command, decision))
        for id, (state, version) in after.items():
            self._live[id].state, self._live[id].version = state, version
        for row in facts:
            self._live[row.stream_id].last_fact = len(self.facts)
            self.facts.append(row)
        self.recorded += recorded
        for (lookup, key), value in decision.learned.items():
            self._found[lookup.name, key] = value

    def _key_row(self, number: int, group: int, command: Command, decision: Decision) -> NewKey:
        key = command.idempotency
        assert key is not None
        return NewKey(
            group=group,
            command=number,
            caller=key.caller,
            key=key.key,
            route=key.route,
            body_hash=key.body_hash,
            status=decision.answer.status,
            headers=msgspec.json.encode(dict(decision.answer.headers)).decode(),
            body=decision.answer.body,
            token=self.token(command),
            expires_at=None if key.keep else self.recorded_at + timedelta(seconds=self._writing.key_keep_seconds),
        )

    def token(
        self,
        command: Command,
        seen: Sequence[int] = (),
        appended: Appended | None = None,
    ) -> str:
        """The consistency token of a command that writes nothing: the last facts of the streams it looked at, as loaded,
        and as earlier commands of the batch left them.
        """
        last: dict[int, Position] = {}
        for stream in (*command.writes, *command.reads):
            head = self._live[stream.id].loaded
            if head.partition is not None and head.position is not None:
                last[head.partition] = max(last.get(head.partition, head.position), head.position)
        if appended is not None:
            for index in seen:
                partition, sequence = (
                    self.facts[index].partition,
                    appended.sequences[index],
                )
                if partition is not None and sequence is not None:
                    last[partition] = Position(appended.epoch, appended.transaction_id, sequence)
        return ",".join(str(Token(self._writing.service, *item)) for item in sorted(last.items()))

    def heads(self, appended: Appended) -> list[tuple[Stream[Any], Head]]:
        """The streams this batch has written to, as they are now."""
        heads = []
        for live in self._live.values():
            if live.last_fact is not None and (sequence := appended.sequences[live.last_fact]) is not None:
                position = Position(appended.epoch, appended.transaction_id, sequence)
                partition = self.facts[live.last_fact].partition
                heads.append((live.stream, Head(live.state, live.version, partition, position)))
        return heads

    def due_snapshots(self, appended: Appended) -> list[tuple[Stream[Any], Head]]:
        """Long streams that have passed a multiple of `snapshot_every`."""
        return [
            (stream, head)
            for stream, head in self.heads(appended)
            if (every := stream.fold.snapshot_every) and head.version // every > self.loaded_version(stream) // every
        ]
