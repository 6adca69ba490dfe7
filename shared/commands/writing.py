"""How one service publishes and projects what its commands write."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import asyncpg

from shared.commands.recorded import Message, Recorded

Publish = Callable[[Recorded], Message | None]
Project = Callable[[asyncpg.Connection, Sequence[Recorded]], Awaitable[None]]


@dataclass(frozen=True)
class Writing:
    """What a gateway needs to know of its service to write for it.

    Attributes:
        service: name; `topic` is where its messages go, in `partitions` partitions.
        publish: fact to message, or None for a fact that stays in the house.
        project: writes the service's own read model, in the same transaction.
        key_keep_seconds: how long answers are kept under idempotency keys, unless these are kept for good.
    """

    service: str
    topic: str
    partitions: int
    publish: Publish
    project: Project
    key_keep_seconds: float = 86_400.0
