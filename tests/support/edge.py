"""The way in to services that run as processes of their own, as an ingress is: each below its path, `/dev` is the issuer."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.local.processes import wait_until
from shared.http.issuer import DevelopmentIssuer
from shared.http.mounting import mounted

_NOT_PASSED_ON = {b"connection", b"transfer-encoding", b"keep-alive", b"date", b"server"}


class Edge:
    """An ASGI application that passes requests on.

    Args:
        upstream: first part of the path -> address of who answers below it.
    """

    def __init__(self, upstream: Mapping[str, str], issuer: DevelopmentIssuer) -> None:
        self._upstream = upstream
        self._issuer: ASGIApp = mounted({"dev": issuer.app()})
        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        self._passing = Starlette(routes=[Route("/{path:path}", self._pass_on, methods=methods)])
        self._client = httpx.AsyncClient(timeout=30)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        inner = self._passing if scope["type"] == "http" and self._address(scope) else self._issuer
        await inner(scope, receive, send)

    async def close(self) -> None:
        await self._client.aclose()

    def _address(self, scope: Scope) -> str | None:
        return self._upstream.get(scope["path"][1:].partition("/")[0])

    async def _pass_on(self, request: Request) -> StreamingResponse | PlainTextResponse:
        address = self._address(request.scope)
        target = request.scope["raw_path"].decode() + (f"?{request.url.query}" if request.url.query else "")
        headers = [(name, value) for name, value in request.headers.raw if name not in _NOT_PASSED_ON]
        sent = self._client.build_request(
            request.method, f"{address}{target}", headers=headers, content=await request.body()
        )
        try:
            answer = await self._client.send(sent, stream=True)
        except httpx.TransportError as error:
            return PlainTextResponse(repr(error), 503, {"retry-after": "1"})
        response = StreamingResponse(answer.aiter_raw(), answer.status_code, background=None)
        response.raw_headers = [pair for pair in answer.headers.raw if pair[0].lower() not in _NOT_PASSED_ON]
        return response


@contextmanager
def edge(upstream: Mapping[str, str], issuer: DevelopmentIssuer, port: int) -> Iterator[str]:
    """Serve it on a loopback port in a thread of its own; the URL."""
    passing = Edge(upstream, issuer)
    server = uvicorn.Server(uvicorn.Config(passing, port=port, log_config=None, timeout_graceful_shutdown=2))

    async def serve() -> None:
        try:
            await server.serve()
        finally:
            await passing.close()

    def run() -> None:
        with contextlib.suppress(KeyboardInterrupt), asyncio.Runner() as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert wait_until(lambda: server.started, 10)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
