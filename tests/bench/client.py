"""A client that costs little: many connections, each sends its next POST when the last one is answered.

Reads a specification from standard input: `port`, `seconds`, `warm_seconds`, and for each connection `path`, `token`,
`body` and whether its requests act for ever new persons (`acting`). Writes what it saw to standard output.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from functools import partial
from typing import Any

import uvloop

from tests.support.wire import Wire, request

_MARK = b"{number}"


class Connection(Wire):
    """One connection. `seconds` holds the duration of each request that was sent after the warm-up."""

    def __init__(self, name: str, sent: bytes, statuses: Counter[int]) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._name = name.encode()
        self._sent = sent
        self._statuses = statuses

    async def load(self, warm_at: float, end_at: float) -> None:
        """Send one request after the other until `end_at`."""
        sent_at, number = time.perf_counter(), 0
        while sent_at < end_at:
            number += 1
            reply = await self.ask(self._sent.replace(_MARK, b"%s-%d" % (self._name, number)))
            answered_at = time.perf_counter()
            self._statuses[reply.status] += 1
            if sent_at >= warm_at and answered_at <= end_at:
                self.seconds.append(answered_at - sent_at)
            sent_at = answered_at


def _request(spec: dict[str, Any]) -> bytes:
    headers = {
        "Authorization": f"Bearer {spec['token']}",
        "Accept": "application/json",
        "Idempotency-Key": "key-{number}",
        **({"Acting-Person": "person-{number}"} if spec.get("acting") else {}),
    }
    return request("POST", spec["path"], headers, spec["body"].encode())


async def main() -> None:
    spec = json.load(sys.stdin)
    started_at = time.perf_counter()
    warm_at = started_at + spec["warm_seconds"]
    end_at = warm_at + spec["seconds"]
    statuses: Counter[int] = Counter()
    run = f"{time.time_ns():x}"
    connections = [
        Connection(f"{run}-{number}", _request(one), statuses) for number, one in enumerate(spec["connections"])
    ]
    loop = asyncio.get_running_loop()
    for connection in connections:
        await loop.create_connection(partial(_same, connection), "127.0.0.1", spec["port"])
    async with asyncio.timeout(spec["warm_seconds"] + spec["seconds"] + 30):
        await asyncio.gather(*(connection.load(warm_at, end_at) for connection in connections))
    seconds = sorted(each for connection in connections for each in connection.seconds)
    result = {
        "a_second": len(seconds) / spec["seconds"],
        "p50": seconds[len(seconds) // 2],
        "p99": seconds[len(seconds) * 99 // 100],
        "statuses": statuses,
    }
    json.dump(result, sys.stdout)


def _same(connection: Connection) -> Connection:
    return connection


if __name__ == "__main__":
    uvloop.run(main())
