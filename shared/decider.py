"""The shape of every rule: `decide` says what happens, `evolve` says what is, both pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from shared.codec import Codec

State = TypeVar("State")
Event = TypeVar("Event")


@dataclass(frozen=True)
class Fold(Generic[State, Event]):
    """How the facts of one kind of stream become its state.

    Attributes:
        initial: the state of a stream without facts.
        evolve: state and next fact to next state; never refuses, for the fact has happened.
        codec: reads and writes the facts of this kind of stream.
        state_type: the type of the state, or a union of types, to store it as a snapshot.
        version: raise it whenever `evolve` or the state's shape changes; older snapshots are then thrown away.
        snapshot_every: store the state every so many facts; 0 for streams that stay short.
    """

    initial: State
    evolve: Callable[[State, Event], State]
    codec: "Codec[Event]"
    state_type: Any
    version: int = 1
    snapshot_every: int = 0

    def of(self, events: Iterable[Event], state: State | None = None) -> State:
        """The state after `events`, starting from `state` (from the initial one, if none is given)."""
        current = self.initial if state is None else state
        for event in events:
            current = self.evolve(current, event)
        return current
