"""Call the running system as a stranger would: over the public HTTP API, with tokens, keys, retries and nothing else."""

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from shared.position import Token, parse_tokens

ADDRESS = Path(".state") / "address"
"""Written by `make run`: the URL of the running system."""

ORGANIZATION = "demo"
"""Whose communities the demo and the import found."""

PATIENCE_SECONDS = 60.0
"""How long one request is tried again, while the system is away or busy."""

_TIMEOUT_SECONDS = 15.0
_LONGEST_PAUSE_SECONDS = 2.0
_RETRIED_CONFLICT = "idempotency-key-in-use"


class Failed(Exception):
    """The story cannot go on; the message says why and what to do."""


class Refused(Failed):
    """The API refused a request.

    Attributes:
        status: of the answer.
        problem: the problem document.
    """

    def __init__(self, request: httpx.Request, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{request.method} {request.url.path} was refused: {status} {problem.get('detail', problem)}")
        self.status = status
        self.problem = problem

    @property
    def reason(self) -> str:
        """The machine reason, with the first value that breaks a rule, e.g. `invalid-request: /body string-too-long`."""
        reason = str(self.problem.get("type", "unknown")).removeprefix("/problems/")
        for error in self.problem.get("errors") or ():
            return f"{reason}: {error.get('pointer') or error.get('parameter')} {error['reason']}"
        return reason


def running_url(url: str | None, address: Path = ADDRESS) -> str:
    """Where the system runs: as given, or as `make run` has written.

    Raises:
        Failed: nothing runs, as far as can be seen.
    """
    if url:
        return url.rstrip("/")
    try:
        return address.read_text().strip().rstrip("/")
    except FileNotFoundError:
        raise Failed("Nothing runs here. Start the system with `make run` in another terminal.") from None


class Seen:
    """The consistency tokens met so far: the furthest one of every partition."""

    def __init__(self, tokens: Iterable[Token] = ()) -> None:
        self._furthest = {(token.service, token.partition): token for token in tokens}

    def add(self, header: str) -> None:
        for token in parse_tokens(header):
            place = (token.service, token.partition)
            known = self._furthest.get(place)
            if known is None or known.position < token.position:
                self._furthest[place] = token

    @property
    def header(self) -> str:
        return ", ".join(map(str, self._furthest.values()))


@dataclass(frozen=True)
class Caller:
    """Somebody with a token.

    Attributes:
        headers: sent with every request.
        seen: what later reads wait for; tokens of all answers are added.
    """

    http: httpx.AsyncClient
    headers: Mapping[str, str]
    seen: Seen = field(default_factory=Seen)

    def acting_for(self, person: str) -> "Caller":
        """The same caller with scope `import`, for a person (ASCII ids only)."""
        return replace(self, headers={**self.headers, "Acting-Person": person})

    async def get(self, path: str) -> httpx.Response:
        return await self._send("GET", path)

    async def items(self, path: str) -> list[dict[str, Any]]:
        """All items of a list, page after page."""
        found: list[dict[str, Any]] = []
        following: str | None = path
        while following is not None:
            page = (await self.get(following)).json()
            found += page["items"]
            following = page["next"]
        return found

    async def post(self, path: str, body: Any = None, *, key: str, after: str | None = None) -> httpx.Response:
        """Act once, however often it is tried.

        Args:
            key: the Idempotency-Key.
            after: consistency tokens to wait for; by default all that were seen.
        """
        return await self._send("POST", path, body, {"Idempotency-Key": key}, after=after)

    async def patch(self, path: str, body: Any, *, etag: str) -> httpx.Response:
        return await self._send("PATCH", path, body, {"If-Match": etag})

    async def delete(self, path: str, *, etag: str | None = None) -> httpx.Response:
        return await self._send("DELETE", path, None, {} if etag is None else {"If-Match": etag})

    async def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        after: str | None = None,
    ) -> httpx.Response:
        sent = {**self.headers, **(headers or {})}
        tokens = self.seen.header if after is None else after
        if tokens:
            sent["Consistency-Token"] = tokens
        answer = await send(self.http, method, path, body, sent)
        if token := answer.headers.get("consistency-token"):
            self.seen.add(token)
        return answer


async def log_in(http: httpx.AsyncClient, subject: str, *, scope: str = "", seen: Seen | None = None) -> Caller:
    """A caller with a token of the development issuer, good for a day."""
    wanted = {"sub": subject, "org": ORGANIZATION, "scope": scope, "ttl": 86_400}
    answer = await send(http, "POST", "/dev/tokens", wanted, {})
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    return Caller(http, headers, Seen() if seen is None else seen)


async def send(
    http: httpx.AsyncClient, method: str, path: str, body: Any, headers: Mapping[str, str]
) -> httpx.Response:
    """One request, tried again while the system cannot be reached or says that it is busy.

    Raises:
        Refused: the answer is a refusal.
        Failed: no answer in good time.
    """
    content = None
    if body is not None:
        # Written here and not by the client library: keys are bound to the very bytes, in later versions as well.
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {**headers, "Content-Type": "application/json"}
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause, last = 0.05, ""
    while True:
        try:
            answer = await http.request(method, path, content=content, headers=dict(headers))
        except httpx.TransportError as error:
            last, wait = f"{type(error).__name__}: {error}", pause
        else:
            if answer.is_success or answer.has_redirect_location:
                return answer
            refused = _refused(answer)
            if not _passing(refused):
                raise refused
            last, wait = str(refused), _retry_after(answer, pause)
        if time.monotonic() + wait > deadline:
            raise Failed(f"The system at {http.base_url} does not answer ({last}). Is `make run` still running?")
        await asyncio.sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


async def reach(http: httpx.AsyncClient) -> None:
    """Make sure that the system answers at all, without patience.

    Raises:
        Failed: it does not.
    """
    try:
        (await http.get("/dev/jwks.json")).raise_for_status()
    except httpx.HTTPError as error:
        raise Failed(
            f"Nothing answers at {http.base_url} ({error}). Start the system with `make run` in another terminal."
        ) from None


class _Lanes(httpx.AsyncBaseTransport):
    """Some connections, each with one request at a time. A pool would look at all of them for every request."""

    def __init__(self, connections: int) -> None:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        context = httpx.create_ssl_context(trust_env=False)  # takes some 30 ms to make: one for all
        self._all = [httpx.AsyncHTTPTransport(verify=context, limits=limits) for _ in range(connections)]
        self._free = asyncio.LifoQueue[httpx.AsyncHTTPTransport]()
        for lane in self._all:
            self._free.put_nowait(lane)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        lane = await self._free.get()
        try:
            response = await lane.handle_async_request(request)
            await response.aread()
        finally:
            self._free.put_nowait(lane)
        return response

    async def aclose(self) -> None:
        for lane in self._all:
            await lane.aclose()


def open_http(url: str, *, connections: int = 4) -> httpx.AsyncClient:
    """Connections to the system."""
    return httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_SECONDS, transport=_Lanes(connections), trust_env=False)


def instant_text(instant: datetime) -> str:
    """An instant as the API takes it, to the millisecond."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def board_path(community: str, metric: str) -> str:
    return f"/scoring/v1/communities/{community}/leaderboards/{metric}"


def commands(url: str, person: str, paths: Iterable[str]) -> list[str]:
    """Shell commands that read these paths as that person."""
    wanted = json.dumps({"sub": person, "org": ORGANIZATION})
    reading = "import json, sys; print(json.load(sys.stdin)['access_token'])"
    return [
        f"  TOKEN=$(curl -s {url}/dev/tokens -H 'Content-Type: application/json' -d '{wanted}' | python3 -c \"{reading}\")",
        *(f'  curl -s -H "Authorization: Bearer $TOKEN" "{url}{path}"' for path in paths),
    ]


def _refused(answer: httpx.Response) -> Refused:
    try:
        problem = answer.json()
    except ValueError:
        problem = {"detail": answer.text[:200]}
    return Refused(answer.request, answer.status_code, problem)


def _passing(refused: Refused) -> bool:
    """Whether the same request may well succeed later."""
    return refused.status == 503 or (refused.status == 409 and refused.reason == _RETRIED_CONFLICT)


def _retry_after(answer: httpx.Response, otherwise: float) -> float:
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else otherwise
