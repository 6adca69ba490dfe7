"""What the clients of a soak know: the communities, who acts in them, and what can be acted upon, all of it bounded."""

from random import Random
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

ORGANIZATION = "acme"
CURRENCY = "CNY"


class Recent(Generic[T]):
    """The last `size` things added, to draw from."""

    def __init__(self, size: int) -> None:
        self._things: list[T] = []
        self._size = size
        self._oldest = 0

    def __len__(self) -> int:
        return len(self._things)

    def add(self, thing: T) -> None:
        if len(self._things) < self._size:
            self._things.append(thing)
        else:
            self._things[self._oldest] = thing
            self._oldest = (self._oldest + 1) % self._size

    def draw(self, dice: Random) -> T:
        return dice.choice(self._things)

    def take(self, dice: Random) -> T:
        """Draw it, and have it no longer."""
        at = dice.randrange(len(self._things))
        self._things[at], self._things[-1] = self._things[-1], self._things[at]
        self._oldest = 0
        return self._things.pop()


class Person(NamedTuple):
    """Attributes:
    bearer: token for HTTP.
    joined: consistency token of the join, for services that may not have heard of it.
    """

    id: str
    bearer: str
    joined: str


class Reaction(NamedTuple):
    person: Person
    post: str
    kind: str


class Community:
    """One community, and what happened in it lately."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.people: Recent[Person] = Recent(600)
        self.posts: Recent[str] = Recent(50)
        self.reactions: Recent[Reaction] = Recent(50)
        self.shares: Recent[str] = Recent(50)
        self.purchases: Recent[str] = Recent(50)
