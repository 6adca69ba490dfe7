"""A service of a few routes that use everything the edge offers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
from fastapi import Depends, FastAPI
from fastapi.responses import Response
from pydantic import Field
from starlette.requests import Request

from shared.commands.command import Answer, Done
from shared.http.answers import read, respond
from shared.http.app import create_app, get_service
from shared.http.callers import AnyCaller, Caller, PersonCaller, require_scope
from shared.http.consistency import ConsistencyTokens
from shared.http.etags import IfMatch, etag
from shared.http.idempotency import Idempotency
from shared.http.issuer import DevelopmentIssuer
from shared.http.models import AnswerModel, Currency, Identifier, Instant, Int64, RequestModel, Zone
from shared.http.pages import Int64 as CursorInt
from shared.http.pages import Page, PageOf, decode_cursor
from shared.http.problems import problems
from shared.http.routes import service_router
from shared.http.settings import HttpSettings
from shared.observability.traces import current_traceparent
from shared.position import Token

SETTINGS = HttpSettings(mode="local", body_limit_bytes=4096, request_timeout_seconds=0.5)


class Note(RequestModel):
    title: Annotated[str, Field(min_length=1, max_length=20)]
    stars: Int64 = 0
    share: float = 0.0
    kind: Literal["question", "answer"] = "question"
    at: Instant | None = None
    zone: Zone | None = None
    currency: Currency | None = None
    about: Identifier | None = None
    more: dict[str, Any] | None = None


class Seen(AnswerModel):
    title: str
    at: Instant | None = None


@dataclass
class Passed:
    waited: list[list[Token]] = field(default_factory=list)

    async def wait_for(self, tokens: list[Token], *, timeout_seconds: float) -> None:
        self.waited.append(tokens)


@dataclass
class Toy:
    """Does what a test tells it to."""

    act: Callable[[], Awaitable[Any]] | None = None
    reasons: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    passed: Passed = field(default_factory=Passed)
    got: list[Any] = field(default_factory=list)

    def ready(self) -> list[str]:
        return self.reasons

    def live(self) -> list[str]:
        return self.stuck


Service = Annotated[Toy, Depends(get_service)]

router = service_router(tags=["notes"])


@router.post("/v1/notes", operation_id="writeNote", status_code=201, response_model=Seen, responses=problems(403, 404))
async def write(note: Note, caller: PersonCaller, key: Idempotency, service: Service) -> Response:
    """Write a note."""
    service.got.append((note, caller, key))
    if service.act is not None:
        await service.act()
    return respond(
        Done(Answer(201, b'{"title":"x"}', {"ETag": etag(1), "Location": "/toy/v1/notes/1"}), "toy.3.1-22-3")
    )


@router.put("/v1/notes/{note}", operation_id="replaceNote", response_model=Seen, responses=problems(404))
async def replace(note: Identifier, body: Note, version: IfMatch, caller: PersonCaller) -> Response:
    """Replace a note."""
    return respond(Done(Answer(200, b'{"title":"x"}', {"ETag": etag(version + 1)}), "", repeated=True))


@router.get("/v1/notes/{note}", operation_id="getNote", response_model=Seen)
async def get(request: Request, note: Identifier, caller: AnyCaller, tokens: ConsistencyTokens) -> Response:
    """Read a note."""
    return read(request, Seen(title=note), version=7)


@router.get("/v1/notes", operation_id="listNotes")
async def notes(page: Page, caller: AnyCaller, about: str | None = None) -> PageOf[Seen]:
    """Numbers as notes."""
    start = 0 if page.after is None else decode_cursor(page.after, tuple[CursorInt, str])[0]
    shown, following = page.cut(range(start, min(start + page.limit + 1, 45)), lambda number: (number + 1, "é"))
    return PageOf(items=[Seen(title=str(number)) for number in shown], next=following)


@router.get("/v1/whoami", operation_id="whoami")
async def whoami(caller: AnyCaller, service: Service) -> dict[str, Any]:
    """The caller, as the routes see it."""
    service.got.append(current_traceparent())
    return {
        "organization": caller.organization,
        "subject": caller.subject,
        "person": caller.person,
        "importing": caller.importing,
        "key": caller.key,
    }


@router.delete("/v1/rules", operation_id="dropRules", status_code=204)
async def drop_rules(caller: Annotated[Caller, require_scope("rules:write")]) -> None:
    """Needs a scope."""


@dataclass
class Client:
    """Speaks to the toy as somebody."""

    app: FastAPI
    service: Toy
    issuer: DevelopmentIssuer
    http: httpx.AsyncClient

    def bearer(self, sub: str = "ana", org: str = "acme", **claims: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {self.issuer.sign(sub=sub, org=org, **claims)}"}

    async def post(self, content: bytes | str, **headers: str) -> httpx.Response:
        """POST a note as ana, with a key, as JSON; `headers` replace those (underscores for hyphens)."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        usual = {"content-type": "application/json", "idempotency-key": "k-1", **self.bearer()}
        return await self.http.post("/v1/notes", content=content, headers={**usual, **given})


@asynccontextmanager
async def toy_client(
    folder: Path, settings: HttpSettings = SETTINGS, schemas: Path | None = None, roots: Sequence[str] = ()
) -> AsyncIterator[Client]:
    """The toy, open, and a client for it."""
    issuer = DevelopmentIssuer(SETTINGS, folder)
    service = Toy()

    @asynccontextmanager
    async def open_toy() -> AsyncIterator[Toy]:
        yield service

    app = create_app(
        name="toy",
        title="Toy",
        description="A toy.",
        settings=settings,
        open_service=open_toy,
        routers=[router],
        roots=roots,
        schemas=schemas,
        keys=issuer.keys(),
    )
    transport = httpx.ASGITransport(app)
    async with (
        asyncio.timeout(30),
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://toy") as http,
    ):
        yield Client(app, service, issuer, http)
