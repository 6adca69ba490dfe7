"""Tickets that open a stream: each once, within a minute, whichever process is asked."""

import hashlib
import secrets
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from services.scoring.boards import Metric
from services.scoring.reader import Reader
from shared.commands.batch import key_reused
from shared.commands.command import IdempotencyKey
from shared.database import ACQUIRE_SECONDS, Pool
from shared.errors import Unauthenticated

VALID_SECONDS = 60
_BYTES = 32

# Whoever asks again under the same key gets another ticket in place of the first. Each that asks clears away some that
# have expired.
_ISSUE = """
with expired as (
    delete from stream_tickets
     where ticket in (select ticket
                        from stream_tickets
                       where expires_at < clock_timestamp() and (caller, key) <> ($2, $3)
                       order by expires_at
                       limit 20
                         for update skip locked))
insert into stream_tickets as existing
       (ticket, caller, key, organization, person, all_scores, community, metric, reads_until, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp() + make_interval(secs => $10))
    on conflict (caller, key) do update
   set ticket = excluded.ticket, organization = excluded.organization, person = excluded.person,
       all_scores = excluded.all_scores, community = excluded.community, metric = excluded.metric,
       reads_until = excluded.reads_until, expires_at = excluded.expires_at
 where (existing.community, existing.metric) = (excluded.community, excluded.metric)
    or existing.expires_at < clock_timestamp()
returning expires_at
"""

_REDEEM = """
delete from stream_tickets
 where ticket = $1 and community = $2 and metric = $3 and expires_at > clock_timestamp()
returning caller, organization, person, all_scores, reads_until
"""


class Ticket(NamedTuple):
    """What the reader gets. Only a digest of it is stored."""

    secret: str
    expires_at: datetime


class Right(NamedTuple):
    """Who reads a stream.

    Attributes:
        owner: the caller whose token let it.
        until: when that expires, seconds since 1970.
    """

    owner: str
    reader: Reader
    until: float


async def issue(pool: Pool, right: Right, community: str, metric: Metric, *, key: IdempotencyKey) -> Ticket:
    """A ticket for one leaderboard, in place of an earlier one under the same key.

    Raises:
        Invalid: `idempotency-key-reused`, for another leaderboard.
    """
    secret = secrets.token_urlsafe(_BYTES)
    reader = right.reader
    values: tuple[Any, ...] = (
        _digest(secret),
        right.owner,
        key.key,
        reader.organization,
        reader.person,
        reader.all_scores,
        UUID(community),
        int(metric),
        right.until,
        VALID_SECONDS,
    )
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        expires_at = await connection.fetchval(_ISSUE, *values)
    if expires_at is None:
        raise key_reused()
    return Ticket(secret, expires_at)


async def redeem(pool: Pool, secret: str, community: str, metric: Metric) -> Right:
    """Use a ticket up.

    Raises:
        Unauthenticated: `ticket-invalid`: used, expired, or of another leaderboard.
    """
    async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
        row = await connection.fetchrow(_REDEEM, _digest(secret), UUID(community), int(metric))
    if row is None:
        raise Unauthenticated(
            "ticket-invalid", "The ticket was used, has expired, or is for another leaderboard. Get a new one."
        )
    caller, organization, person, all_scores, reads_until = row
    return Right(caller, Reader(organization, person, all_scores), reads_until)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
