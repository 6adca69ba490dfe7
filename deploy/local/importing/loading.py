"""What every import does over the public API: find or found its community, launch it, let people join, count."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from deploy.local.client import Caller, Refused, instant_text

IN_FLIGHT = 16
"""How many requests are under way at most."""

REUSED = "idempotency-key-reused"
"""The reason of a refusal: an earlier import has sent something else for the same row of the source."""

COMMUNITIES = "/membership/v1/communities"
_ABOUT_THE_ITEM = {403, 404, 409, 422}
_CHANGED = "changed in the source since an earlier import; kept as it was"

T = TypeVar("T")


@dataclass
class Tally:
    """What came of what was sent, by what it is about.

    Attributes:
        new, known: answers that were made by this run, and by an earlier one.
        refused: what was not taken, by what and why.
    """

    new: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def answered(self, what: str, headers: Mapping[str, str]) -> None:
        (self.known if "idempotency-replayed" in headers else self.new)[what] += 1

    def said_no(self, what: str, refused: Refused) -> None:
        """Count a refusal that is about one item.

        Raises:
            Refused: it is about more.
        """
        if refused.status not in _ABOUT_THE_ITEM:
            raise refused
        self.refused[f"{what} {_CHANGED}" if refused.reason == REUSED else f"{what} refused: {refused.reason}"] += 1


@dataclass
class Loading:
    """An import under way.

    Attributes:
        importer: has the scope `import`.
        source: names the kind of source in keys.
        community: its id.
        owner: who founded it, and so may launch it and read its boards.
        launched: consistency token of the launch.
        joined: consistency token of each join, by person.
    """

    importer: Caller
    source: str
    community: str
    owner: str
    launched: str = ""
    joined: dict[str, str] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    @property
    def path(self) -> str:
        return f"{COMMUNITIES}/{self.community}"

    def key(self, what: object) -> str:
        """The Idempotency-Key for something of the source. Those of imports never expire."""
        return f"{self.source}:{self.community}:{what}"

    async def launch(self) -> None:
        owner = self.importer.acting_for(self.owner)
        answer = await owner.post(f"{self.path}/launch", key=self.key("launch"))
        self.launched = answer.headers.get("consistency-token", "")

    async def join(self, person: str, at: datetime, *, what: str, **how: Any) -> None:
        """Let a person join; who joined in an earlier import stays as that one had it.

        Args:
            what: as whom the person is counted.
            how: more fields of the request.
        """
        body = {**how, "occurred_at": instant_text(at)}
        try:
            answer = await self.importer.acting_for(person).post(
                f"{self.path}/members", body, key=self.key("join"), after=""
            )
        except Refused as refused:
            if refused.reason != REUSED:
                raise
            self.tally.known[what] += 1
            return
        self.tally.answered(what, answer.headers)
        self.joined[person] = answer.headers.get("consistency-token", "")


async def community_named(importer: Caller, name: str, owned: Callable[[str], bool]) -> Mapping[str, Any] | None:
    """The community that an earlier import has founded, by whomever it held for the first person then.

    Args:
        owned: whether a person is of the source.
    """
    for community in await importer.items(COMMUNITIES):
        if community["name"] == name and owned(community["owner"]):
            return community
    return None


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]], done: Callable[[], object]) -> None:
    """Work on all items, `IN_FLIGHT` at a time; the first failure ends it."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)
            done()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(worker())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
