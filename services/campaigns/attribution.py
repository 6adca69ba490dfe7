"""Fixes the chains of purchases in the background: at once where they are known, else as soon as watermarks say that there
is nothing more to be known.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from services.campaigns import purchase
from services.campaigns.chain import MARGIN, OPEN, Open, Share, first_link, second_link
from services.campaigns.events import Link, PurchaseRecorded
from services.campaigns.evidence import CodeAsked, Found, ReferrerAsked, Referrers, Shares
from shared.commands.cause import Earlier
from shared.commands.command import Answer, Command, Decision, Known, Stream
from shared.database import ACQUIRE_SECONDS
from shared.errors import Unavailable
from shared.failpoints import failpoint
from shared.messaging.log import LogUnavailable
from shared.messaging.watermarks import WatermarkReader
from shared.position import Position
from shared.service import Kernel

T = TypeVar("T")

PAGE = 250
IDLE_SECONDS = 0.25
WAITING_SECONDS = 0.1

UNATTRIBUTED = "select recorded_at from unattributed"
"""When the purchases without a chain were recorded."""

_OLDEST = """
select waiting.stream_id, event.event_id::text, event.type, event.data, event.recorded_at, event.partition,
       event.epoch, event.transaction_id::text::bigint as transaction_id, event.sequence
  from unattributed as waiting
  join events as event on (event.stream_id, event.version) = (waiting.stream_id, 1)
 where (waiting.recorded_at, waiting.stream_id) > ($1, $2)
 order by waiting.recorded_at, waiting.stream_id
 limit $3
"""


class _Waiting(NamedTuple):
    """A purchase without a chain: its first fact, and where that stands in the log."""

    stream: Stream[purchase.State]
    event_id: str
    fact: PurchaseRecorded
    recorded_at: datetime
    partition: int
    position: Position

    @property
    def until(self) -> datetime:
        """What was recorded later does not count."""
        return self.recorded_at + MARGIN

    @property
    def code(self) -> CodeAsked | None:
        return CodeAsked(self.fact.order.share_code, self.until) if self.fact.order.share_code is not None else None

    def referrer_of(self, person: str) -> ReferrerAsked:
        return ReferrerAsked(self.fact.organization, person, self.until)


class Attribution:
    """The task. Any number may run at once: a purchase's stream takes one attribution.

    Args:
        reader: of the watermarks of campaigns, membership and content.
    """

    def __init__(self, kernel: Kernel, reader: WatermarkReader) -> None:
        self._kernel = kernel
        self._reader = reader

    async def run(self, stop: asyncio.Event) -> None:
        """Attribute until `stop`. Rests at least as long as a pass over all that waits took."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            started = loop.time()
            rest = IDLE_SECONDS
            if await self.attribute_all():
                # What is known needs no log: while it is away, only absence cannot be concluded.
                with contextlib.suppress(LogUnavailable):
                    await self._reader.refresh()
                rest = max(WAITING_SECONDS, loop.time() - started)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), rest)

    async def attribute_all(self) -> int:
        """One pass over all purchases without a chain, oldest first; return how many are left."""
        left = 0
        after = (datetime.min.replace(tzinfo=UTC), "")
        while page := await self._page(after):
            if chains := await self._chains(page):
                await failpoint("attribution.before-chains")
                left -= await self._fix(chains)
                await failpoint("attribution.after-chains")
            left += len(page)
            after = (page[-1].recorded_at, page[-1].stream.id)
        return left

    async def _page(self, after: tuple[datetime, str]) -> list[_Waiting]:
        async with self._kernel.writer.acquire(timeout=ACQUIRE_SECONDS) as connection:
            rows = await connection.fetch(_OLDEST, *after, PAGE)
        return [_waiting(row) for row in rows]

    async def _chains(self, page: Sequence[_Waiting]) -> list[tuple[_Waiting, tuple[Link, ...]]]:
        """The chains that can be told now."""
        partitions = self._kernel.settings.partitions
        shares = Shares(self._reader.latest("content"), partitions)
        referrers = Referrers(self._reader.latest("membership"), partitions)
        async with self._kernel.writer.acquire(timeout=ACQUIRE_SECONDS) as connection:
            by_code = await shares.load(connection, {code for each in page if (code := each.code) is not None})
            of_buyers = await referrers.load(connection, {each.referrer_of(each.fact.order.buyer) for each in page})
            firsts = [(each, self._first(each, by_code, of_buyers)) for each in page]
            of_firsts = await referrers.load(
                connection, {each.referrer_of(first.person) for each, first in firsts if isinstance(first, Link)}
            )
        chains: list[tuple[_Waiting, tuple[Link, ...]]] = []
        for each, first in firsts:
            if first is None:
                chains.append((each, ()))
            elif isinstance(first, Link):
                referrer = self._answer("membership", of_firsts[each.referrer_of(first.person)], each)
                if not isinstance(referrer, Open):
                    second = second_link(each.fact, first, referrer)
                    chains.append((each, (first,) if second is None else (first, second)))
        return chains

    def _first(
        self,
        each: _Waiting,
        by_code: Mapping[CodeAsked, Found[Share]],
        of_buyers: Mapping[ReferrerAsked, Found[str]],
    ) -> Link | Open | None:
        share: Share | Open | None = None
        if each.code is not None:
            share = self._answer("content", by_code[each.code], each)
        referrer: str | Open | None = self._answer(
            "membership", of_buyers[each.referrer_of(each.fact.order.buyer)], each
        )
        return first_link(each.fact, share, referrer)

    def _answer(self, service: str, found: Found[T], each: _Waiting) -> T | Open | None:
        """What was found is known. What was not is absent if all that could count stands below the watermark: it is younger
        than the purchase, and its clock had passed the time up to which facts count.
        """
        if found.value is not None:
            return found.value
        mark = self._reader.younger_than(service, "campaigns", each.partition, each.position)
        return None if found.folded and mark is not None and mark.time > each.until else OPEN

    async def _fix(self, chains: Sequence[tuple[_Waiting, tuple[Link, ...]]]) -> int:
        """Write the chains; return how many are fixed. Those whose stream is in use are tried again in the next pass."""
        outcomes = await asyncio.gather(
            *(self._kernel.gateway.run(_command(each, chain)) for each, chain in chains), return_exceptions=True
        )
        failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for error in failed:
            if not isinstance(error, Unavailable):
                raise error
        return len(outcomes) - len(failed)


def _waiting(row: Mapping[str, Any]) -> _Waiting:
    fact = purchase.FOLD.codec.decode(row["type"], row["data"])
    assert isinstance(fact, PurchaseRecorded)
    return _Waiting(
        Stream(row["stream_id"], purchase.FOLD),
        row["event_id"],
        fact,
        row["recorded_at"],
        row["partition"],
        Position(row["epoch"], row["transaction_id"], row["sequence"]),
    )


def _command(waiting: _Waiting, chain: tuple[Link, ...]) -> Command:
    stream = waiting.stream

    def decide(known: Known) -> Decision:
        command = purchase.Attribute(chain=chain, now=known.recorded_at)
        return Decision(Answer(204), {stream: purchase.attribute(command, known.state(stream))})

    return Command(decide, writes=(stream,), cause=Earlier(waiting.event_id))
