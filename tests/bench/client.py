"""A client that costs little: many connections, each sends its next POST when the last one is answered.

Reads a specification from standard input: `port`, `seconds`, `warm_seconds`, and for each connection `path`, `token`,
`body` and whether its requests act for ever new persons (`acting`). Writes what it saw to standard output.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

import uvloop

_MARK = b"{number}"
_LENGTH = b"content-length: "


class Connection(asyncio.Protocol):
    """One connection. `seconds` holds the duration of each request that was sent after the warm-up."""

    def __init__(self, name: str, spec: dict[str, Any], warm_at: float, end_at: float, statuses: Counter[int]) -> None:
        self.seconds: list[float] = []
        self.done = asyncio.get_running_loop().create_future()
        self._template = _request(spec)
        self._name = name
        self._number = 0
        self._warm_at, self._end_at = warm_at, end_at
        self._statuses = statuses
        self._sent_at = 0.0
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received = received = self._received + data if self._received else data
        head = received.find(b"\r\n\r\n")
        if head < 0:
            return
        at = received.find(_LENGTH, 0, head)
        if at < 0:
            raise ValueError(f"no content-length: {received[:head]!r}")
        length = int(received[at + len(_LENGTH) : received.index(b"\r\n", at)])
        if len(received) < head + 4 + length:
            return
        now = time.perf_counter()
        self._statuses[int(received[9:12])] += 1
        if self._sent_at >= self._warm_at and now <= self._end_at:
            self.seconds.append(now - self._sent_at)
        self._received = b""
        if now < self._end_at:
            self._send()
        else:
            self._transport.close()
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed a connection"))

    def _send(self) -> None:
        self._number += 1
        self._sent_at = time.perf_counter()
        self._transport.write(self._template.replace(_MARK, b"%s-%d" % (self._name.encode(), self._number)))


def _request(spec: dict[str, Any]) -> bytes:
    body = spec["body"].encode()
    lines = [
        f"POST {spec['path']} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {spec['token']}",
        "Content-Type: application/json",
        "Accept: application/json",
        "Idempotency-Key: key-{number}",
        *(["Acting-Person: person-{number}"] if spec.get("acting") else []),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def main() -> None:
    spec = json.load(sys.stdin)
    started_at = time.perf_counter()
    warm_at = started_at + spec["warm_seconds"]
    end_at = warm_at + spec["seconds"]
    statuses: Counter[int] = Counter()
    run = f"{time.time_ns():x}"
    connections = [
        Connection(f"{run}-{number}", one, warm_at, end_at, statuses) for number, one in enumerate(spec["connections"])
    ]
    loop = asyncio.get_running_loop()
    for connection in connections:
        await loop.create_connection(lambda made=connection: made, "127.0.0.1", spec["port"])
    async with asyncio.timeout(spec["warm_seconds"] + spec["seconds"] + 30):
        await asyncio.gather(*(connection.done for connection in connections))
    seconds = sorted(each for connection in connections for each in connection.seconds)
    result = {
        "a_second": len(seconds) / spec["seconds"],
        "p50": seconds[len(seconds) // 2],
        "p99": seconds[len(seconds) * 99 // 100],
        "statuses": statuses,
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    uvloop.run(main())
