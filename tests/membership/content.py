"""Content, as membership hears it: shares in an outbox of their own, with a relay that a test may stop and start."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.membership import inbound
from shared.commands.recorded import Message, Recorded
from shared.database import Pool
from shared.messaging.cloudevents import envelope
from shared.messaging.log import Log
from shared.messaging.relay import Relay
from shared.partitioning import partition_of
from shared.position import Position, Token
from tests.membership.facts import RUNNERS

PARTITIONS = 12
SHARED_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SHARE = "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a30"

_INSERT = """
insert into outbox (epoch, transaction_id, sequence, topic, partition, key, headers, value)
select epoch, pg_current_xact_id(), nextval('position_sequence'), 'content.events', $1, $2, $3, $4 from database_epoch
returning epoch, transaction_id::text::bigint, sequence
"""


def shared(code: str, sharer: str, organization: str = "acme") -> dict[str, Any]:
    """The value of a `content-shared` message, with a field that membership does not read."""
    return {
        "organization": organization,
        "community": RUNNERS,
        "code": code,
        "sharer": sharer,
        "recorded_at": SHARED_AT,
        "channel": "wechat",
    }


@dataclass(frozen=True)
class Content:
    """Content's database and what stands in its outbox."""

    dsn: str
    pool: Pool

    async def share(self, code: str, sharer: str, organization: str = "acme") -> str:
        """A member gets a code; the consistency token of its answer."""
        data = shared(code, sharer, organization)
        fact = Recorded("share", 1, SHARE, None, SHARED_AT, SHARED_AT)
        headers = envelope("content", fact, Message(inbound.CONTENT_SHARED, sharer, SHARE, data), None)
        partition = partition_of(sharer, PARTITIONS)
        row = await self.pool.fetchrow(
            _INSERT, partition, sharer, msgspec.json.encode(headers).decode(), msgspec.json.encode(data)
        )
        await self.pool.execute("select pg_notify('outbox', '')")
        return str(Token("content", partition, Position(*row)))

    def relay(self, log: Log, *, watermark_seconds: float | None = 0.05) -> Relay:
        return make_relay("content", self.dsn, log, "membership", watermark_seconds)


def make_relay(service: str, dsn: str, log: Log, other: str, watermark_seconds: float | None = 0.05) -> Relay:
    """A relay that publishes watermarks often; None: none."""
    return Relay(
        dsn,
        log,
        service=service,
        topic=f"{service}.events",
        partitions=PARTITIONS,
        watermark_seconds=watermark_seconds,
        watermarks_of=[other],
    )
