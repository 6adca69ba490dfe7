"""The ring around every service: checks a request once, bounds its time, counts it, and answers whatever goes wrong."""

import asyncio
import re
import time
from collections.abc import Sequence
from typing import Any, Final

import structlog
import uuid_utils
from opentelemetry.trace import Span, Status, StatusCode
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.commands.cause import served
from shared.errors import BadRequest, Refusal, Unavailable
from shared.http import problems
from shared.http.bodies import check_target, read_json
from shared.http.request import KEY, Received
from shared.http.settings import HttpSettings
from shared.http.sse import EVENT_STREAM
from shared.observability import logs, metrics
from shared.observability.traces import tracing

log = structlog.get_logger(__name__)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_JSON = re.compile(rb'application/json(\s*;\s*charset="?utf-8"?)?\s*', re.IGNORECASE)
_ALSO_ACCEPTED = {
    ".svg": (b"image/svg+xml", b"image/*"),
    ".png": (b"image/png", b"image/*"),
    "/stream": (b"text/event-stream", b"text/*"),
}
"""By the end of the path."""
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_GIVEN_ONCE = frozenset(
    {
        b"authorization",
        b"content-type",
        b"content-length",
        b"idempotency-key",
        b"if-match",
        b"acting-person",
        b"traceparent",
        b"x-request-id",
    }
)
_TELL_EVERY_SECONDS = 1.0


class _ClientGone(Exception):
    """The client closed the connection before its body was complete."""


class Edge:
    """ASGI middleware; the only one.

    Args:
        app: router of the service, without other middleware.
        service: for metrics.
        routes: of the service, for the header `Allow`.
        settings: limits.
    """

    def __init__(self, app: ASGIApp, *, service: str, routes: Sequence[BaseRoute], settings: HttpSettings) -> None:
        self._app = app
        self._service = service
        self._routes = routes
        self._limit = settings.body_limit_bytes
        self._timeout = settings.request_timeout_seconds
        self._told_at: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_at = time.perf_counter()
        method = scope["method"]
        headers = dict(scope["headers"])
        got = Received(
            _request_id(headers.get(b"x-request-id")),
            headers,
            bodiless=method == "HEAD",
            route=f"{method} {scope['path']}",
        )
        answer = _Answer(send, got.id, bodiless=got.bodiless)
        # Routes know GET only; the copy leaves the server's own scope as it was.
        scope = {**scope, "method": "GET"} if method == "HEAD" else scope
        scope[KEY] = got
        token, outer = logs.request_id.set(got.id), served.set(got)
        try:
            traceparent = got.headers.get(b"traceparent")
            if tracing.sampled(traceparent):
                with tracing.request_span(method, traceparent) as span:
                    await self._serve(scope, receive, answer)
                    self._describe(span, scope, method, answer.status)
            else:
                await self._serve(scope, receive, answer)
        finally:
            logs.request_id.reset(token)
            served.reset(outer)
            self._count(scope, method, answer.status, (answer.flows_since or time.perf_counter()) - started_at)

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        deadline = asyncio.timeout(self._timeout)
        arrived = False
        try:
            async with deadline:
                answer.deadline = deadline
                replay = await self._check(scope, receive)
                arrived = True
                if scope["method"] == "OPTIONS":
                    await self._options(scope)(scope, receive, answer.send)
                else:
                    await self._app(scope, replay, answer.send)
        except _ClientGone:
            return
        except Exception as error:
            if answer.started:
                log.exception("http.broken-off", path=_route(scope))
                raise
            answer.deadline = None
            if isinstance(error, TimeoutError) and deadline.expired():
                error = _too_late() if arrived else HTTPException(408, headers={"connection": "close"})
            response = self._response_to(error, scope)
            await response(scope, receive, answer.send)

    async def _check(self, scope: Scope, receive: Receive) -> Receive:
        got: Received = scope[KEY]
        headers = got.headers
        if len(headers) != len(scope["headers"]):
            _merge_repeated(headers, scope["headers"])
        check_target(scope["path"], scope.get("raw_path") or b"", scope["query_string"])
        accept = headers.get(b"accept")
        if accept is not None and "/v1/" in scope["path"] and not _acceptable(accept, scope["path"]):
            raise HTTPException(406)
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            return receive
        got.body = await self._body(headers, receive)
        if got.body:
            if _JSON.fullmatch(headers.get(b"content-type", b"")) is None:
                raise HTTPException(415)
            got.json = read_json(got.body)
        return _replay(got.body, receive)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            raise BadRequest("content-length-malformed", "Content-Length must be a number.")
        if len(length) > 18 or int(length) > self._limit:
            raise HTTPException(413, headers={"connection": "close"})
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _ClientGone
            chunk: bytes = message.get("body", b"")
            body += chunk
            if len(body) > self._limit:
                raise HTTPException(413, headers={"connection": "close"})
            if not message.get("more_body", False):
                return body

    def _response_to(self, error: Exception, scope: Scope) -> Response:
        refusal = problems.refusal_of(error)
        if isinstance(refusal, Unavailable):
            self._tell_outage(refusal, error)
        allow = {}
        if isinstance(error, HTTPException) and error.status_code == 405:
            allow = {"allow": ", ".join(self._allowed(scope))}
        response = problems.answer_to(error, refusal, scope[KEY].id, allow)
        if response is None:
            log.error("http.unhandled", route=_route(scope), method=scope["method"], exc_info=error)
            return problems.unhandled(scope[KEY].id)
        return response

    def _tell_outage(self, refusal: Unavailable, error: Exception) -> None:
        now = time.monotonic()
        if now - self._told_at.get(refusal.reason, float("-inf")) >= _TELL_EVERY_SECONDS:
            self._told_at[refusal.reason] = now
            said = str(error).partition("\n")[0]  # SQLAlchemy adds statement and values on further lines
            log.warning("http.unavailable", reason=refusal.reason, error=f"{type(error).__name__}: {said[:200]}")

    def _options(self, scope: Scope) -> Response:
        allowed = self._allowed(scope)
        if not allowed:
            raise HTTPException(404)
        return Response(status_code=204, headers={"allow": ", ".join(allowed)})

    def _allowed(self, scope: Scope) -> list[str]:
        methods: set[str] = set()
        for route in self._routes:
            if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
                methods |= route.methods or set()
        if "GET" in methods:
            methods.add("HEAD")
        return sorted(methods | {"OPTIONS"}) if methods else []

    def _count(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        route = _route(scope)
        method = method if method in _METHODS else "other"
        metrics.http_requests(self._service, route, method, status).inc()
        metrics.http_seconds(self._service, route, method).observe(seconds)

    def _describe(self, span: Span, scope: Scope, method: str, status: int) -> None:
        route = _route(scope)
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        span.set_attribute("qunli.service", self._service)
        span.set_attribute("qunli.request_id", scope[KEY].id)
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))


class _Answer:
    """The way back: adds the request id, ends the deadline when the answer begins, remembers the status."""

    __slots__ = ("_bodiless", "_id", "_send", "deadline", "flows_since", "started", "status")

    def __init__(self, send: Send, id: str, *, bodiless: bool) -> None:
        self._send = send
        self._id = id.encode()
        self._bodiless = bodiless
        self.deadline: asyncio.Timeout | None = None
        self.started = False
        self.status = 499
        """Until an answer begins: the client went away."""
        self.flows_since: float | None = None
        """When a stream began: it took so long to answer, however long it lasts."""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            headers = message.get("headers", ())
            if EVENT_STREAM in headers:
                self.flows_since = time.perf_counter()
            message["headers"] = [*headers, (b"x-request-id", self._id), _NOSNIFF]
            if self.deadline is not None and not self.deadline.expired():
                self.deadline.reschedule(None)
        elif self._bodiless:
            message = {**message, "body": b""}
        await self._send(message)


def _acceptable(accept: bytes, path: str) -> bool:
    """Whether this `Accept` takes what is answered at the path."""
    if b"application/json" in accept or b"*/*" in accept or b"application/*" in accept:
        return True
    return any(kind in accept for end, kinds in _ALSO_ACCEPTED.items() if path.endswith(end) for kind in kinds)


def _request_id(given: bytes | None) -> str:
    if given is not None and _REQUEST_ID.fullmatch(given) is not None:
        return given.decode()
    return str(uuid_utils.uuid7())


def _merge_repeated(headers: dict[bytes, bytes], given: Sequence[tuple[bytes, bytes]]) -> None:
    headers.clear()
    for name, value in given:
        if name not in headers:
            headers[name] = value
        elif name in _GIVEN_ONCE:
            raise BadRequest("header-repeated", f"The header {name.decode('latin-1')} may be given once.")
        else:
            headers[name] += b", " + value


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = True

    async def receive_again() -> Message:
        nonlocal waiting
        if waiting:
            waiting = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return receive_again


def _route(scope: Scope) -> str:
    route: Any = scope.get("route")
    return "unmatched" if route is None else str(route.path_format)


def _too_late() -> Refusal:
    return Unavailable("deadline-exceeded", "The answer took too long. It may or may not have been done: try again.")
