"""Lets a read or a command wait until this service has heard what its caller already knows."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from shared.database import ACQUIRE_SECONDS, Pool
from shared.errors import BadRequest, Unavailable
from shared.outages import outage_of
from shared.position import Token

POLL_SECONDS = 0.015

_LOOK = """
select coalesce((place.epoch, place.transaction_id, place.sequence)
                >= (wanted.epoch, wanted.transaction_id, wanted.sequence), false) as passed,
       exists (select
                 from dead_letters as letter
                where letter.consumer = $1
                  and (letter.lane, letter.topic) = (wanted.lane, wanted.topic)
                  and (letter.epoch, letter.transaction_id, letter.sequence)
                    = (wanted.epoch, wanted.transaction_id, wanted.sequence)) as parked
  from unnest($2::smallint[], $3::text[], $4::integer[], $5::bigint[], $6::bigint[])
       with ordinality as wanted (lane, topic, epoch, transaction_id, sequence, number)
  left join lane_topics as place
         on place.consumer = $1
        and place.lane = wanted.lane
        and place.topic = wanted.topic
 order by wanted.number
"""


class _Wanted(NamedTuple):
    """The fact that a caller has seen: lane, topic, position."""

    lane: int
    topic: str
    epoch: int
    transaction_id: int
    sequence: int


class Progress:
    """How far this database's consumer is; asked for by one query for everybody who waits.

    Args:
        consumer: whose lanes count.
        topics: the topic of each service that it listens to.
        partitions: of every topic.
    """

    def __init__(self, pool: Pool, consumer: str, topics: Mapping[str, str], *, partitions: int) -> None:
        self._pool = pool
        self._consumer = consumer
        self._topics = dict(topics)
        self._partitions = partitions
        self._waiting: dict[asyncio.Future[bool], _Wanted] = {}
        self._poller: asyncio.Task[None] | None = None
        self._again = asyncio.Event()

    def advanced(self) -> None:
        """The consumer of this process has committed: look at once."""
        if self._waiting:
            self._again.set()

    async def wait_for(self, tokens: Sequence[Token], timeout_seconds: float = 2.0) -> None:
        """Return when everything that the tokens name has been folded. Tokens of services that this one does not listen
        to are ignored.

        Raises:
            BadRequest: a token cannot be one of ours.
            Unavailable: `not-caught-up` after the timeout; `fact-parked` at once if the very fact waits for an operator;
                `database-unavailable`.
        """
        wanted = {self._wanted(token) for token in tokens if token.service in self._topics}
        if not wanted:
            return
        waits = [asyncio.get_running_loop().create_future() for _ in wanted]
        self._waiting |= dict(zip(waits, wanted, strict=True))
        self._again.set()
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            async with asyncio.timeout(timeout_seconds):
                parked = await asyncio.gather(*waits)
        except TimeoutError:
            raise Unavailable(
                "not-caught-up",
                "This service has not yet heard of what the Consistency-Token names. Try again.",
                retry_after_seconds=1,
            ) from None
        finally:
            for wait in waits:
                self._waiting.pop(wait, None)
                wait.cancel()
        if any(parked):
            raise Unavailable(
                "fact-parked",
                "A fact that the Consistency-Token names could not be applied, and waits for an operator.",
                retry_after_seconds=60,
            )

    def _wanted(self, token: Token) -> _Wanted:
        epoch, transaction_id, sequence = token.position
        if token.partition >= self._partitions or epoch >= 2**31 or max(transaction_id, sequence) >= 2**63:
            raise BadRequest(
                "consistency-token-malformed",
                "Send the Consistency-Token header back exactly as an earlier answer gave it.",
            )
        return _Wanted(token.partition, self._topics[token.service], epoch, transaction_id, sequence)

    async def _poll(self) -> None:
        """Ask for all who wait, until nobody does."""
        while self._waiting:
            self._again.clear()
            asked = list(self._waiting.items())
            try:
                columns = zip(*(wanted for _, wanted in asked), strict=True)
                async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                    rows = await connection.fetch(_LOOK, self._consumer, *map(list, columns))
            except Exception as error:  # everybody who waits must hear of it
                refusal = outage_of(error) or error
                for wait, _ in asked:
                    if not wait.done():
                        wait.set_exception(refusal)
                        self._waiting.pop(wait, None)
                continue
            for (wait, _), row in zip(asked, rows, strict=True):
                if row["passed"] and not wait.done():
                    wait.set_result(row["parked"])
                    self._waiting.pop(wait, None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._again.wait()
