"""What campaigns can do: each use case builds one command for the gateway, or reads."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils import uuid7

from services.campaigns import purchase, readmodels, resources
from services.campaigns.chain import Refused
from services.campaigns.events import Order
from services.campaigns.explaining import refused_code
from services.campaigns.replica import Communities
from shared.commands.command import Answer, Command, Decision, Done, IdempotencyKey, Known, Stream
from shared.commands.gateway import Gateway
from shared.errors import Forbidden, NotFound
from shared.http.etags import etag
from shared.messaging.progress import Progress
from shared.observability.traces import current_traceparent
from shared.position import Token

PATH = "/campaigns/v1/purchases"

_COMMUNITIES = Communities()


@dataclass(frozen=True)
class Campaigns:
    """The service. `organization` is always the caller's: what belongs to another one does not exist for it."""

    gateway: Gateway
    reader: AsyncEngine
    passed: Progress
    ready: Callable[[], Awaitable[list[str]]]

    async def record(
        self,
        community: str,
        order: Order,
        *,
        organization: str,
        occurred_at: datetime | None,
        importing: bool,
        key: IdempotencyKey,
    ) -> Done:
        """Record an order. If it is recorded already, the answer is that of then, with status 200."""
        own = _stream(organization, order.order_id)
        id = str(uuid7())

        def decide(known: Known) -> Decision:
            command = purchase.Record(
                organization=organization,
                purchase=id,
                order=order,
                occurred_at=occurred_at,
                importing=importing,
                now=known.recorded_at,
            )
            recorded = purchase.record(command, known.found(_COMMUNITIES, community), known.state(own))
            if recorded:
                return Decision(_answer(201, purchase.known(purchase.FOLD.of(recorded))), {own: recorded})
            then = purchase.Recorded(recorded=purchase.known(known.state(own)).recorded)
            return Decision(_answer(200, then))

        return await self.gateway.run(
            Command(
                decide,
                writes=(own,),
                lookups=((_COMMUNITIES, community),),
                idempotency=key,
                traceparent=current_traceparent(),
            )
        )

    async def refund(
        self,
        id: str,
        *,
        refund_id: str,
        amount_minor: int,
        organization: str,
        occurred_at: datetime | None,
        importing: bool,
        key: IdempotencyKey,
    ) -> Done:
        """Pay back part of a purchase. If this refund is recorded already, the answer is that of then, with status 200."""
        row = await self._row(id, organization)
        own = _stream(organization, row.order_id)
        refund = str(uuid7())

        def decide(known: Known) -> Decision:
            command = purchase.Refund(
                refund=refund,
                refund_id=refund_id,
                amount_minor=amount_minor,
                occurred_at=occurred_at,
                importing=importing,
                now=known.recorded_at,
            )
            state = known.state(own)
            refunded = purchase.refund(command, state)
            made = purchase.refund_of(purchase.known(purchase.FOLD.of(refunded, state)), refund_id)
            assert made is not None
            body = resources.Refund.of(made).model_dump_json().encode()
            return Decision(Answer(201 if refunded else 200, body), {own: refunded})

        return await self.gateway.run(
            Command(decide, writes=(own,), idempotency=key, traceparent=current_traceparent())
        )

    async def purchase(self, id: str, *, organization: str, reading: str | None) -> readmodels.PurchaseRow:
        """One purchase. `reading`: the person who asks, who must be its buyer; None: a machine."""
        row = await self._row(id, organization)
        if reading is not None and reading != row.buyer:
            raise Forbidden("not-your-own", "People read their own purchases only.")
        return row

    async def purchases(
        self, *, organization: str, reading: str | None, order_id: str | None, before: UUID | None, limit: int
    ) -> Sequence[readmodels.PurchaseRow]:
        """Purchases, the last recorded first. `reading`: the person who asks, who gets the own ones; None: a machine."""
        return await readmodels.purchases(
            self.reader, organization, buyer=reading, order_id=order_id, before=before, limit=limit
        )

    async def token(self, shown: Iterable[readmodels.PurchaseRow]) -> str:
        """The consistency token of what purchases show: chains are fixed in the background, and no command answers them."""
        seen = {_stream(row.organization, row.order_id).id: row.version for row in shown}
        last = await readmodels.last_facts(self.reader, seen)
        return ", ".join(str(Token("campaigns", partition, position)) for partition, position in last)

    async def attribution(
        self, id: str, *, organization: str, reading: str | None
    ) -> tuple[readmodels.PurchaseRow, Refused | None]:
        """A purchase, and why its share code does not count, if it has one. `reading`: as for `purchase`."""
        row = await self.purchase(id, organization=organization, reading=reading)
        if row.share_code is None:
            return row, None
        return row, await refused_code(self.reader, _stream(organization, row.order_id).id, row.share_code)

    async def refunds(
        self, id: str, *, organization: str, reading: str | None, after: int, limit: int
    ) -> Sequence[readmodels.RefundRow]:
        """Refunds of a purchase, in the order they were accepted. `reading`: as for `purchase`."""
        row = await self.purchase(id, organization=organization, reading=reading)
        return await readmodels.refunds(self.reader, row.purchase, after=after, limit=limit)

    async def _row(self, id: str, organization: str) -> readmodels.PurchaseRow:
        row = await readmodels.purchase(self.reader, UUID(id))
        if row is None or row.organization != organization:
            raise NotFound("purchase-not-found", "There is no such purchase.")
        return row


def _stream(organization: str, order_id: str) -> Stream[purchase.State]:
    """The stream of an order. The organization is written without hyphens, so that two orders never share a stream."""
    return Stream(f"purchase-{quote(organization, safe='').replace('-', '%2D')}-{order_id}", purchase.FOLD)


def _answer(status: int, state: purchase.Recorded) -> Answer:
    """A purchase as it was recorded."""
    body = resources.Purchase.of(state, version=1).model_dump_json().encode()
    return Answer(status, body, {"ETag": etag(1), "Location": f"{PATH}/{state.recorded.purchase}"})
