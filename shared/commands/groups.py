"""Which commands of a batch stand or fall together, and which locks they need."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from shared.commands.command import Command


@lru_cache(maxsize=4096)  # those of communities and posts come again, those of keys and new streams never
def lock_number(name: str) -> int:
    """The 64-bit advisory lock of a name. Two names that share one by chance only wait for each other."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


def key_name(command: Command) -> str | None:
    """The name of the lock on the command's idempotency key."""
    key = command.idempotency
    return None if key is None else f"key:{key.caller}:{key.key}"


def names(command: Command) -> Iterable[tuple[str, bool]]:
    """Everything the command locks: (name, shared)."""
    for stream in command.writes:
        yield f"stream:{stream.id}", False
    for stream in command.reads:
        yield f"stream:{stream.id}", True
    for guard in command.guards:
        yield f"guard:{guard.name}", guard.shared
    if (key := key_name(command)) is not None:
        yield key, False


class Held:
    """The names that batches under way have locked."""

    def __init__(self) -> None:
        self._exclusive: Counter[str] = Counter()
        self._shared: Counter[str] = Counter()

    def add(self, names: Iterable[tuple[str, bool]]) -> None:
        for name, shared in names:
            (self._shared if shared else self._exclusive)[name] += 1

    def remove(self, names: Iterable[tuple[str, bool]]) -> None:
        for name, shared in names:
            counter = self._shared if shared else self._exclusive
            counter[name] -= 1
            if not counter[name]:
                del counter[name]

    def conflicts(self, names: Iterable[tuple[str, bool]]) -> bool:
        """Whether a command with these names would have to wait."""
        return any(name in self._exclusive or (not shared and name in self._shared) for name, shared in names)


def groups_of_conflict(commands: Sequence[Command]) -> list[int]:
    """For each command the number of its group: commands that share a stream, a key or a guard, directly or through others.

    A name that is held shared by all does not join them.
    """
    parent = list(range(len(commands)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    holders: dict[str, list[int]] = {}
    exclusive: set[str] = set()
    for number, command in enumerate(commands):
        for name, shared in names(command):
            holders.setdefault(name, []).append(number)
            if not shared:
                exclusive.add(name)
    for name in exclusive:
        first, *others = holders[name]
        for other in others:
            parent[root(other)] = root(first)
    return [root(number) for number in range(len(commands))]


def locks_of(commands: Iterable[Command]) -> dict[int, bool]:
    """The locks of these commands, number -> shared; exclusive wins where both are wanted."""
    wanted: dict[int, bool] = {}
    for command in commands:
        for name, shared in names(command):
            number = lock_number(name)
            wanted[number] = wanted.get(number, True) and shared
    return wanted
