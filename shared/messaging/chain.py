"""Tells which records of a partition are new, which are repeats, and where facts are missing between them."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from shared.messaging.facts import InboundFact
from shared.position import START, Position


class Halt(NamedTuple):
    """A topic that cannot be read on.

    Attributes:
        offset: of the record that does not fit.
        reason: a sentence for the operator.
    """

    offset: int
    reason: str


class Void(NamedTuple):
    """What a restore has undone in a partition: the facts after `after` whose epoch is lower than `epoch`."""

    epoch: int
    after: Position

    def covers(self, position: Position) -> bool:
        return position.epoch < self.epoch and position > self.after


def is_void(voids: Sequence[Void], position_text: str) -> bool:
    """Whether a record is known to be undone. What no relay wrote is not."""
    try:
        position = Position.parse(position_text)
    except ValueError:
        return False
    return any(void.covers(position) for void in voids)


class Chain(msgspec.Struct):
    """How far one topic of a lane is read, and the rule by which it may go on.

    Attributes:
        next_offset: records below it were read.
        position: of the last fact read, applied or parked.
        accepted_epoch: the highest epoch that an operator accepted after `position.epoch`.
        voids: what restores have undone, as far as that is known; it is passed over.
        strangers: records met that no relay wrote; facts have a position, so these are none.
    """

    next_offset: int = 0
    position: Position = START
    accepted_epoch: int = 0
    voids: Sequence[Void] = ()
    strangers: int = 0

    def read(self, records: Sequence[InboundFact], types: Collection[str]) -> tuple[list[InboundFact], Halt | None]:
        """Go on over `records` of one partition: return the new facts of these types and what stopped the reading, if
        anything did. The chain then stands before the record that does not fit.
        """
        facts: list[InboundFact] = []
        halt = None
        next_offset = self.next_offset
        last = str(self.position)
        epoch = f"{self.position.epoch}-"
        for record in records:
            if record.offset < next_offset:
                continue
            position = record.position
            if self.voids and is_void(self.voids, position):
                next_offset = record.offset + 1
                continue
            # Nearly every record follows the one before; only the others are worth parsing.
            if record.previous != last or not position.startswith(epoch):
                verdict = self._judge(Position.parse(last), position, record.previous)
                if verdict is not True:
                    if isinstance(verdict, str):
                        halt = Halt(record.offset, f"{record.topic}, partition {record.partition}: {verdict}")
                        break
                    next_offset = record.offset + 1
                    continue
                epoch = position[: position.index("-") + 1]
            next_offset = record.offset + 1
            last = position
            if record.type in types:
                facts.append(record)
        self.next_offset, self.position = next_offset, Position.parse(last)
        return facts, halt

    def _judge(self, last: Position, position_text: str, previous_text: str) -> bool | str:
        """True: a new fact; False: to be passed over; a sentence: facts are missing, or the epoch has risen."""
        try:
            position, previous = Position.parse(position_text), Position.parse(previous_text)
        except ValueError:
            self.strangers += 1
            return False
        if position <= last:
            return False
        if last == START or position.epoch == last.epoch:
            if previous == last:
                return True
            return f"the facts after {last} up to {previous} are missing before {position}."
        if position.epoch > self.accepted_epoch:
            return (
                f"epoch {position.epoch} follows epoch {last.epoch} (last fact {last}, first of the new epoch {position}"
                f" after {previous}): the writer's database was restored. Run `rebuild --swap`, or accept the epoch."
            )
        # Facts of the lower epoch after `previous` are void. Those that were read nevertheless are accepted.
        if previous <= last:
            return True
        return f"the facts after {last} up to {previous} are missing before {position}."
