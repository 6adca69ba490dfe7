"""Settles joins whose share code was not known: once it is, or once content has surely never made it before the join."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from services.membership import inbound, referral
from services.membership.joining import root_streams
from services.membership.referral import Sponsor
from services.membership.replica import ShareCodes
from services.membership.sponsors import roots_above
from services.membership.streams import referral_stream
from shared.commands.cause import Earlier
from shared.commands.command import Answer, Command, Decision, Known
from shared.database import ACQUIRE_SECONDS
from shared.errors import Unavailable
from shared.failpoints import failpoint
from shared.lifecycle import Run
from shared.messaging.watermarks import WatermarkReader, folded_arguments
from shared.position import Position
from shared.service import Kernel

ROUND_SECONDS = 0.5
PAGE_PEOPLE = 200

UNSETTLED = """
select fact.recorded_at
  from deferred_joins as deferred
  join events as fact on (fact.stream_id, fact.version) = (deferred.stream_id, deferred.version)
"""
"""When the joins that wait were recorded."""

_DEFERRED = """
select fact.event_id::text, deferred.organization, deferred.person, deferred."join"::text as join, deferred.inviter, deferred.share_code,
       fact.partition, fact.epoch, fact.transaction_id::text::bigint as transaction_id, fact.sequence
  from (select distinct organization, person
          from deferred_joins
         where (organization, person) > ($1, $2)
         order by organization, person
         limit $3) as people
  join deferred_joins as deferred using (organization, person)
  join events as fact on (fact.stream_id, fact.version) = (deferred.stream_id, deferred.version)
 order by deferred.organization, deferred.person, fact.epoch, fact.transaction_id, fact.sequence
"""

# One statement, so one snapshot: a code that it does not find had not been made, as far as was folded.
_SHARERS = """
select given.organization, given.code, shared.sharer,
       (select $1::text is not null and folded_through($1, $2, $3, $4, $5, $6, $7, $8)) as folded
  from unnest($9::text[], $10::text[]) as given (organization, code)
  left join share_codes as shared on (shared.organization, shared.code) = (given.organization, given.code)
"""
_NO_WATERMARK = (None,) * 8


class Deferred(NamedTuple):
    """A join that waits, its fact, and where that stands in the topic."""

    event_id: str
    organization: str
    person: str
    join: str
    inviter: str | None
    share_code: str | None
    partition: int
    position: Position


def referral_settler(kernel: Kernel, watermarks: WatermarkReader) -> Run:
    """The background task: a round every so often, as long as the process lives."""

    async def run(stop: asyncio.Event) -> None:
        settler = Settler(kernel, watermarks)
        while not stop.is_set():
            await settler.round()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), ROUND_SECONDS)

    return run


class Settler:
    """Looks through the joins that wait, and settles those of each person together, in commit order."""

    def __init__(self, kernel: Kernel, watermarks: WatermarkReader) -> None:
        self._kernel = kernel
        self._watermarks = watermarks

    async def round(self) -> None:
        """Settle what can be settled now.

        Raises:
            LogUnavailable, asyncpg.PostgresError, OSError: what is needed is away; the next round goes on.
        """
        page = await self._page(("", ""))
        if page:
            await self._watermarks.refresh()  # only now: where watermarks are made on demand, this is the demand
        while page:
            await self._settle(page)
            page = await self._page((page[-1].organization, page[-1].person))

    async def _page(self, after: tuple[str, str]) -> list[Deferred]:
        async with self._kernel.writer.acquire(timeout=ACQUIRE_SECONDS) as connection:
            rows = await connection.fetch(_DEFERRED, *after, PAGE_PEOPLE)
        return [_deferred(row) for row in rows]

    async def _settle(self, page: Sequence[Deferred]) -> None:
        inviters = await self._inviters(page)
        people = {(join.organization, inviter) for join in page if (inviter := inviters.get(join.join)) is not None}
        roots = await roots_above(self._kernel.reader, people)
        commands = []
        for (organization, person), group in groupby(page, key=lambda join: (join.organization, join.person)):
            joins = list(group)
            sponsors: dict[str, Sponsor | None] = {}
            for join in joins:
                if join.join not in inviters:
                    break  # the later ones wait for this one
                inviter = inviters[join.join]
                sponsors[join.join] = Sponsor(inviter, roots[organization, inviter]) if inviter else None
            if sponsors:
                commands.append(settling(organization, person, sponsors, Earlier(joins[0].event_id)))
        if not commands:
            return
        await failpoint("settler.before-settling")
        for outcome in await asyncio.gather(*map(self._kernel.gateway.run, commands), return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, Unavailable):
                raise outcome  # whom others were busy with is settled in the next round
        await failpoint("settler.after-settling")

    async def _inviters(self, page: Sequence[Deferred]) -> dict[str, str | None]:
        """By join: who invited; None: nobody, for sure. A join of which that cannot be told yet is left out."""
        asked = {(join.organization, join.share_code) for join in page if join.inviter is None and join.share_code}
        sharers, folded = await self._sharers(list(asked))
        inviters: dict[str, str | None] = {}
        for join in page:
            inviter = join.inviter or sharers.get((join.organization, join.share_code))
            if inviter is not None or join.share_code is None or (folded and self._is_older(join)):
                inviters[join.join] = inviter
        return inviters

    async def _sharers(self, asked: Sequence[tuple[str, str | None]]) -> tuple[dict[tuple[str, str | None], str], bool]:
        """Who owns the codes that are known, and whether all is folded up to content's latest watermark."""
        if not asked:
            return {}, False
        watermark = self._watermarks.latest("content")
        arguments: tuple[Any, ...] = _NO_WATERMARK
        if watermark is not None:
            lanes = range(self._kernel.settings.partitions)
            arguments = folded_arguments(ShareCodes.consumer, inbound.TOPIC, watermark, lanes, ShareCodes.types)
        async with self._kernel.writer.acquire(timeout=ACQUIRE_SECONDS) as connection:
            rows = await connection.fetch(_SHARERS, *arguments, *map(list, zip(*asked, strict=True)))
        sharers = {(row["organization"], row["code"]): row["sharer"] for row in rows if row["sharer"] is not None}
        return sharers, rows[0]["folded"]

    def _is_older(self, join: Deferred) -> bool:
        """Whether content's latest watermark is younger than the join."""
        return self._watermarks.younger_than("content", "membership", join.partition, join.position) is not None


def _deferred(row: Mapping[str, Any]) -> Deferred:
    return Deferred(
        event_id=row["event_id"],
        organization=row["organization"],
        person=row["person"],
        join=row["join"],
        inviter=row["inviter"],
        share_code=row["share_code"],
        partition=row["partition"],
        position=Position(row["epoch"], row["transaction_id"], row["sequence"]),
    )


def settling(organization: str, person: str, sponsors: Mapping[str, Sponsor | None], cause: Earlier) -> Command:
    """The command that settles all deferred joins of a person, the first of which is its cause, under the locks of a
    join."""
    own, roots = referral_stream(organization, person), root_streams(organization, person, sponsors.values())

    def decide(known: Known) -> Decision:
        command = referral.Settle(person=person, sponsors=sponsors, now=known.recorded_at)
        held = {root: known.state(stream) for root, stream in roots.items()}
        return Decision(Answer(204), {own: referral.settle(command, known.state(own), held)})

    return Command(decide, writes=(own,), reads=tuple(roots.values()), cause=cause)
