"""`make run` with an open stream: what one writes the other sees, and it ends when the system does."""

import asyncio
import signal
import time
import uuid
from typing import Any

import httpx
import pytest

from tests.support.streaming import reading
from tests.support.system import running_system

pytestmark = pytest.mark.timeout(180)

FOUNDING = {"name": "Early risers", "affinity": "We run before work.", "zone": "Asia/Shanghai", "currency": "CNY"}


async def test_a_stream_lives_and_ends_with_the_system() -> None:
    with running_system() as system:
        async with httpx.AsyncClient(base_url=system.url, timeout=20) as client:
            token = (await client.post("/dev/tokens", json={"sub": "ana", "org": "acme"})).json()["access_token"]

            async def post(path: str, body: Any, seen: str = "") -> httpx.Response:
                headers = {"authorization": f"Bearer {token}", "idempotency-key": str(uuid.uuid4())}
                answer = await client.post(
                    path, json=body, headers=headers | ({"consistency-token": seen} if seen else {})
                )
                assert answer.status_code in (200, 201), answer.text
                return answer

            founded = await post("/membership/v1/communities", FOUNDING)
            community = founded.headers["location"].rpartition("/")[2]
            launched = await post(f"/membership/v1/communities/{community}/launch", None)
            known = launched.headers["consistency-token"]
            board = f"/scoring/v1/communities/{community}/leaderboards/points"
            ticket = (await post(f"{board}/tickets", None, known)).json()
            async with reading(system.url + ticket["stream"]) as stream:
                assert (await stream.next()).data["items"] == []
                posted = {"kind": "text", "body": "Good morning."}
                await post(f"/content/v1/communities/{community}/posts", posted, known)
                change = await stream.next()
                assert change.data["items"] == [{"rank": 1, "person": "ana", "value": 10}]
                started_at = time.monotonic()
                system.process.send_signal(signal.SIGTERM)
                end = await stream.next()
                assert (end.name, end.data) == ("end", {"reason": "shutting-down"})
                code = await asyncio.to_thread(system.process.wait, 20)
                assert code == 0 and time.monotonic() - started_at < 10
        assert "Traceback" not in system.said and '"level": "error"' not in system.said, system.said
