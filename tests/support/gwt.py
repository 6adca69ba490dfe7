"""given(facts).when(decision).then(facts): tests of deciders, over the facts as they would be stored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import pytest

from shared.decider import Fold
from shared.errors import Refusal

State = TypeVar("State")
Event = TypeVar("Event")


@dataclass(frozen=True)
class Given(Generic[State, Event]):
    """A stream with its facts."""

    fold: Fold[State, Event]
    facts: Sequence[Event]

    @property
    def state(self) -> State:
        """Folded from the facts after they were written and read: what cannot be stored does not pass for given."""
        codec = self.fold.codec
        return self.fold.of(codec.decode(codec.type_of(fact), codec.encode(fact)) for fact in self.facts)

    def when(self, decide: Callable[[State], Sequence[Event]]) -> "When[State, Event]":
        return When(self, decide)


@dataclass(frozen=True)
class When(Generic[State, Event]):
    """A decision on that stream, not taken yet."""

    given: Given[State, Event]
    decide: Callable[[State], Sequence[Event]]

    def then(self, *facts: Event) -> None:
        """Exactly these facts happen, and they can be stored and folded."""
        decided = list(self.decide(self.given.state))
        assert decided == list(facts)
        codec = self.given.fold.codec
        assert [codec.decode(codec.type_of(fact), codec.encode(fact)) for fact in decided] == decided
        self.given.fold.of(decided, self.given.state)

    def then_nothing_happens(self) -> None:
        assert list(self.decide(self.given.state)) == []

    def then_refused(self, kind: type[Refusal], reason: str) -> Refusal:
        with pytest.raises(kind) as refused:
            self.decide(self.given.state)
        assert type(refused.value) is kind
        assert refused.value.reason == reason
        return refused.value


def given(fold: Fold[State, Event], *facts: Event) -> Given[State, Event]:
    return Given(fold, facts)
