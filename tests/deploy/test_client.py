"""What the demo and the import do when an answer is late, lost or no: over real sockets, with scripted answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from deploy.local import client
from deploy.local.client import Caller, Failed, Refused, Seen, open_http

LOST = b""
BUSY = b"HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 2\r\n\r\n{}"
DONE = b'HTTP/1.1 201 Created\r\nconsistency-token: a.3.1-7-9\r\ncontent-length: 11\r\n\r\n{"id": "x"}'


def refusal(status: int, reason: str) -> bytes:
    body = json.dumps({"type": f"/problems/{reason}", "detail": "No."}).encode()
    return b"HTTP/1.1 %d No\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


@asynccontextmanager
async def answering(answers: Sequence[bytes]) -> AsyncIterator[tuple[Caller, list[bytes]]]:
    """A caller of a server that gives these answers, one per connection; and the requests it has got."""
    waiting = iter(answers)
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        requests.append(head + await reader.readexactly(length))
        writer.write(next(waiting))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_http(f"http://127.0.0.1:{port}") as http:
        yield Caller(http, {"Authorization": "Bearer t"}), requests


async def test_the_same_request_is_sent_again_until_it_is_answered() -> None:
    running = refusal(409, "idempotency-key-in-use")
    async with answering([LOST, BUSY, running, DONE]) as (caller, requests):
        answer = await caller.post("/v1/things", {"name": "群力"}, key="k-1")
    assert answer.json() == {"id": "x"}
    assert len(requests) == 4
    assert len(set(requests)) == 1
    assert b"idempotency-key: k-1\r\n" in requests[0].lower()
    assert requests[0].endswith('{"name":"群力"}'.encode())
    assert caller.seen.header == "a.3.1-7-9"


@pytest.mark.parametrize(
    ("status", "reason"), [(409, "community-full"), (422, "idempotency-key-reused"), (403, "muted")]
)
async def test_a_no_is_taken_for_an_answer(status: int, reason: str) -> None:
    async with answering([refusal(status, reason), DONE]) as (caller, requests):
        with pytest.raises(Refused) as refused:
            await caller.post("/v1/things", {}, key="k-1")
    assert (refused.value.status, refused.value.reason, len(requests)) == (status, reason, 1)


async def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.3)
    async with answering([LOST] * 20) as (caller, requests):
        with pytest.raises(Failed, match=r"does not answer .* Is `make run` still running\?"):
            await caller.get("/v1/things")
    assert len(requests) > 1


def test_of_the_tokens_seen_the_furthest_of_each_partition_counts() -> None:
    seen = Seen()
    for header in ("a.1.1-9-1, b.1.1-2-1", "a.1.1-10-1", "a.1.1-9-200", "a.2.2-1-1"):
        seen.add(header)
    assert sorted(seen.header.split(", ")) == ["a.1.1-10-1", "a.2.2-1-1", "b.1.1-2-1"]
