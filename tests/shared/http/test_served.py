"""The edge behind its real server, asked over a socket; and keys fetched from an issuer over HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from shared.http.app import create_app
from shared.http.issuer import DevelopmentIssuer
from shared.http.mounting import mounted
from tests.shared.http.toy import SETTINGS, Toy, router

BODY = b'{"title": "hello"}'


@dataclass
class Served:
    port: int
    token: bytes

    async def say(self, request: bytes, answers: int = 1) -> list[tuple[int, dict[str, str], bytes]]:
        """Send bytes on one connection; read so many answers."""
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(request)
            found = []
            for _ in range(answers):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
                length = 0 if request.startswith(b"HEAD") else int(headers.get("content-length", "0"))
                found.append((int(head[0].split()[1]), headers, await reader.readexactly(length)))
            writer.close()
            return found

    def post(self, body: bytes = BODY, extra: bytes = b"") -> bytes:
        head = b"POST /toy/v1/notes HTTP/1.1\r\nhost: toy\r\nidempotency-key: k\r\ncontent-type: application/json\r\n"
        return head + b"authorization: Bearer %b\r\ncontent-length: %d\r\n%b\r\n%b" % (
            self.token,
            len(body),
            extra,
            body,
        )


@pytest.fixture
async def served(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Served]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}/dev/jwks.json"
        settings = SETTINGS.model_copy(update={"auth_jwks_url": url, "request_timeout_seconds": 3.0})
        issuer = DevelopmentIssuer(settings, tmp_path)

        @asynccontextmanager
        async def open_toy() -> AsyncIterator[Toy]:
            yield Toy()

        toy = create_app(
            name="toy", title="Toy", description="", settings=settings, open_service=open_toy, routers=[router]
        )
        root = mounted({"toy": toy, "dev": issuer.app()})
        server = uvicorn.Server(uvicorn.Config(root, log_config=None, access_log=False, lifespan="on"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield Served(port, issuer.sign(sub="ana", org="acme").encode())
        server.should_exit = True
        await task


async def test_a_token_is_checked_with_keys_that_are_fetched(served: Served) -> None:
    ((status, headers, body),) = await served.say(served.post())
    assert (status, body) == (201, b'{"title":"x"}')
    assert headers["x-request-id"]


async def test_one_connection_serves_good_and_bad_alike(served: Served) -> None:
    many = (
        served.post()
        + served.post(b"{")
        + served.post(b'{"title": 1}')
        + b"OPTIONS /toy/v1/notes HTTP/1.1\r\nhost: toy\r\n\r\n"
    )
    found = await served.say(many + served.post(), answers=5)
    assert [status for status, _, _ in found] == [201, 400, 422, 204, 201]


async def test_a_large_body_closes_the_connection(served: Served) -> None:
    ((status, headers, body),) = await served.say(served.post(b" " * 5000))
    assert (status, headers["connection"]) == (413, "close")
    assert b"/problems/body-too-large" in body


async def test_head_has_no_body(served: Served) -> None:
    request = b"HEAD /toy/openapi.json HTTP/1.1\r\nhost: toy\r\nconnection: close\r\n\r\n"
    ((status, headers, _),) = await served.say(request)
    assert status == 200 and int(headers["content-length"]) > 1000
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(request)
    assert (await reader.read()).endswith(b"\r\n\r\n")
    writer.close()


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /toy/v1/\xff HTTP/1.1\r\nhost: toy\r\n\r\n",
        b"GET /toy/v1/notes/%ff HTTP/1.1\r\nhost: toy\r\n\r\n",
        b"POST /toy/v1/notes HTTP/1.1\r\nhost: toy\r\ncontent-length: -1\r\n\r\n",
        b"POST /toy/v1/notes HTTP/1.1\r\nhost: toy\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        b"POST /toy/v1/notes HTTP/1.1\r\nhost: toy\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
    ],
)
async def test_what_is_no_good_http_is_400(served: Served, request_: bytes) -> None:
    ((status, _, _),) = await served.say(request_)
    assert status == 400
    ((status, _, _),) = await served.say(served.post())
    assert status == 201
