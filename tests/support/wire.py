"""HTTP/1.1 with next to no cost of its own: one request at a time on a connection that stays open."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

_LENGTH = b"content-length: "


class Reply(NamedTuple):
    """Attributes:
    head: status line and headers, names in lower case.
    """

    status: int
    body: bytes
    head: bytes

    def header(self, name: str) -> str:
        """The value of a header, its name given in lower case; empty if there is none."""
        _, found, rest = self.head.partition(f"\r\n{name}: ".encode())
        return rest.partition(b"\r\n")[0].decode() if found else ""


def request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def parse(received: bytes) -> Reply | None:
    """The reply that these bytes are; None while they are not all of it. Servers must state its length."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return None
    if received[9:12] == b"204":
        return Reply(204, b"", received[:head])
    at = received.find(_LENGTH, 0, head)
    if at < 0:
        raise ValueError(f"no content-length: {received[:head]!r}")
    at += len(_LENGTH)
    if len(received) < head + 4 + int(received[at : received.index(b"\r\n", at)]):
        return None
    return Reply(int(received[9:12]), received[head + 4 :], received[:head])


class Wire(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._received = b""
        self._waiting: asyncio.Future[Reply] | None = None
        self.closed = False

    @classmethod
    async def connect(cls, port: int) -> "Wire":
        _, wire = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return wire

    async def ask(self, sent: bytes) -> Reply:
        """Send a request; its reply."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(sent)
        return await self._waiting

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        reply = parse(self._received)
        if reply is not None and self._waiting is not None:
            self._received = b""
            self._waiting.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error or ConnectionError("the server closed a connection"))


class Api:
    """What a URL leads to, through some connections: whoever asks takes a free one."""

    def __init__(self, url: str, wires: Sequence[Wire]) -> None:
        self._prefix = urlsplit(url).path
        self._wires = wires
        self._free: asyncio.Queue[Wire] = asyncio.Queue()
        for wire in wires:
            self._free.put_nowait(wire)

    @classmethod
    async def open(cls, url: str, connections: int) -> Self:
        port = urlsplit(url).port
        assert port is not None
        return cls(url, [await Wire.connect(port) for _ in range(connections)])

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        wire = await self._free.get()
        reply = await wire.ask(request(method, self._prefix + path, headers, body))
        self._free.put_nowait(wire)
        return reply

    def close(self) -> None:
        for wire in self._wires:
            wire.close()
