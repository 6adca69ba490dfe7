"""Processes that serve live leaderboards, and their readers."""

import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx

from shared.http.issuer import DevelopmentIssuer
from tests.support.streaming import Address, Reading, reading


@dataclass
class Desk:
    """A process that serves live leaderboards."""

    address: Address
    issuer: DevelopmentIssuer

    def bearer(self, person: str, organization: str = "acme", **claims: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {self.issuer.sign(sub=person, org=organization, **claims)}"}

    def board(self, community: str, metric: str = "points") -> str:
        return f"{self.address.url}/scoring/v1/communities/{community}/leaderboards/{metric}/stream"

    def watch(
        self, person: str, community: str, metric: str = "points", *, last_id: str | None = None
    ) -> AbstractAsyncContextManager[Reading]:
        """Open a stream with a token."""
        seen = {} if last_id is None else {"last-event-id": last_id}
        return reading(self.board(community, metric), self.bearer(person) | seen)

    async def ticket(
        self,
        person: str,
        community: str,
        metric: str = "points",
        *,
        key: str | None = None,
        organization: str = "acme",
        **claims: Any,
    ) -> httpx.Response:
        """Ask for a ticket."""
        headers = self.bearer(person, organization, **claims) | {"idempotency-key": key or str(uuid.uuid4())}
        async with httpx.AsyncClient(timeout=10) as client:
            return await client.post(self.board(community, metric).replace("/stream", "/tickets"), headers=headers)

    def use(self, ticket: httpx.Response) -> AbstractAsyncContextManager[Reading]:
        """Open the stream of a ticket, without a token."""
        assert ticket.status_code == 201, ticket.text
        return reading(self.address.url + ticket.json()["stream"])


OpenDesk: TypeAlias = Callable[[], AbstractAsyncContextManager[Desk]]
