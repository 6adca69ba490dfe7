"""What a service hands to the gateway: the streams, guards and look-ups a command needs, and the pure function that decides it."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from shared.commands.cause import Cause, current_cause
from shared.decider import Fold

State = TypeVar("State")
Key = TypeVar("Key", bound=Hashable)
Value_co = TypeVar("Value_co", covariant=True)


class Stream(msgspec.Struct, Generic[State], frozen=True, eq=False):
    """One stream and how to fold it. Streams are equal if their ids are."""

    id: str
    fold: Fold[State, Any]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


class Guard(msgspec.Struct, frozen=True, gc=False):
    """A lock by name, taken before anything is read, for what several streams must agree on.

    Two commands that both hold it `shared` do not exclude each other.
    """

    name: str
    shared: bool = False


class Lookup(Protocol[Key, Value_co]):
    """Reads rows that are no stream (a replica, a unique name), once for all commands of a batch, after the locks."""

    name: str

    async def load(self, connection: Any, keys: Collection[Key]) -> Mapping[Key, Value_co]:
        """The value of each key that has one. Plain reads only: nothing here may assign a transaction id."""
        ...


class IdempotencyKey(msgspec.Struct, frozen=True, gc=False):
    """The key a caller gave to one POST.

    Attributes:
        caller: organization and subject (and acting person) of the token, as one string.
        key: the value of the header.
        route: method and path; the same key on another route is refused.
        body_hash: SHA-256 of the body as sent.
        keep: kept for good (money, imports), not only for a day.
    """

    caller: str
    key: str
    route: str
    body_hash: bytes
    keep: bool = False


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer, stored byte for byte under the idempotency key.

    Attributes:
        status: 200, 201 or 204.
        body: JSON, empty for 204.
        headers: `ETag`, `Location` and the like; the consistency token is added when the facts are written.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


class Decision(msgspec.Struct, frozen=True):
    """What happens: facts per stream (none: nothing to do) and the answer.

    Attributes:
        events: for each stream that gets any, its new facts in order. Only streams named in `writes`.
        answer: what the caller is told once all is committed.
        learned: look-up values as they are after these facts, for later commands of the same batch, which otherwise
            see the same snapshot: (look-up, key) -> value.
    """

    answer: Answer
    events: Mapping[Stream[Any], Sequence[Any]] = {}
    learned: Mapping[tuple[Any, Any], Any] = {}


class Known(Protocol):
    """What a command sees when it is decided."""

    recorded_at: datetime
    """The database's clock, read in this transaction before the append."""

    def state(self, stream: Stream[State]) -> State:
        """The state of one of the command's streams, with what earlier commands of the batch did to it."""
        ...

    def version(self, stream: Stream[Any]) -> int:
        """The number of facts in the stream; 0 if it does not exist."""
        ...

    def found(self, lookup: "Lookup[Any, Any]", key: Any) -> Any:
        """The value of a look-up, or None."""
        ...


class Command(msgspec.Struct, frozen=True):
    """One request to change something.

    Attributes:
        decide: pure; returns a Decision or raises a `shared.errors.Refusal`. May be called again, in a later
            transaction, with a newer state.
        writes: streams it may append to; locked exclusively.
        reads: streams it only reads; locked shared, so they cannot change under it.
        guards: further locks.
        lookups: (look-up, key) pairs to be loaded.
        idempotency: the key under which the answer is kept; None for PUT, PATCH and DELETE, which `If-Match` protects.
        traceparent: W3C trace context of the request, carried into the records; None if not sampled.
        cause: why its facts are recorded; by default the request that is being served.
    """

    decide: Callable[[Known], Decision]
    writes: tuple[Stream[Any], ...] = ()
    reads: tuple[Stream[Any], ...] = ()
    guards: tuple[Guard, ...] = ()
    lookups: tuple[tuple[Lookup[Any, Any], Any], ...] = ()
    idempotency: IdempotencyKey | None = None
    traceparent: str | None = None
    cause: Cause | None = msgspec.field(default_factory=current_cause)


class Done(msgspec.Struct, frozen=True):
    """A command that is committed (or, for a repeat, was): the answer as stored.

    Attributes:
        answer: status, body, headers.
        token: the `Consistency-Token` header; empty if the command touched nothing that is published.
        repeated: the answer was stored by an earlier request with the same key.
    """

    answer: Answer
    token: str
    repeated: bool = False
