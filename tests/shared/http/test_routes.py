"""Routes that do without FastAPI's solver answer as those that need it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, Response
from starlette.requests import Request

from shared.http.app import create_app
from shared.http.callers import AnyCaller, Caller
from shared.http.issuer import DevelopmentIssuer
from shared.http.models import Identifier, Int64, RequestModel
from shared.http.routes import service_router
from tests.shared.http.toy import SETTINGS

JSON = {"content-type": "application/json"}
ID = "0193A5B0-7F6E-7C3A-9D53-2C7C1A1F6A10"


class Step(RequestModel):
    count: Int64


router = service_router()


def told(request: Request, caller: Caller, step: Step | None, note: str | None) -> Response:
    text = f"{request.method} {caller.subject} {step.count if step else '-'} {note}"
    return Response(text, media_type="text/plain")


@router.post("/v1/plain/{note}", operation_id="plain")
async def plain(note: Identifier, step: Step, caller: AnyCaller, request: Request) -> Response:
    return told(request, caller, step, note)


@router.post("/v1/solved/{note}", operation_id="solved")
async def solved(
    note: Identifier, step: Step, caller: AnyCaller, request: Request, by: Annotated[int | None, Depends(lambda: None)]
) -> Response:
    assert by is None
    return told(request, caller, step, note)


@router.post("/v1/optional", operation_id="optional")
async def optional(caller: AnyCaller, request: Request, step: Step | None = None) -> Response:
    return told(request, caller, step, None)


@router.get("/v1/bare", operation_id="bare")
async def bare() -> Response:
    return Response("bare", media_type="text/plain")


@pytest.fixture
async def http(tmp_path: Path, anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    issuer = DevelopmentIssuer(SETTINGS, tmp_path)

    @asynccontextmanager
    async def nothing() -> AsyncIterator[None]:
        yield

    app = create_app(
        name="routes",
        title="Routes",
        description="",
        settings=SETTINGS,
        open_service=nothing,
        routers=[router],
        keys=issuer.keys(),
    )
    headers = {"authorization": f"Bearer {issuer.sign(sub='ana', org='acme')}"}
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://routes", headers=headers) as client,
    ):
        yield client


REQUESTS: list[tuple[str, Any]] = [
    (ID, {"count": 3}),
    (ID, {"count": "3"}),
    (ID, {"count": 3, "more": 1}),
    (ID, {}),
    (ID, []),
    (ID, None),
    ("7", {"count": 3}),
    ("7", {"count": True}),
    ("7" * 400, None),
]


@pytest.mark.parametrize(("note", "body"), REQUESTS)
async def test_both_ways_answer_the_same(http: httpx.AsyncClient, note: str, body: Any) -> None:
    first, second = [
        await http.post(f"/v1/{way}/{note}", json=body, headers={"x-request-id": "r"}) for way in ("plain", "solved")
    ]
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert first.headers == second.headers
    if first.status_code == 200:
        assert first.text == f"POST ana 3 {ID.lower()}"


async def test_a_body_that_is_left_out_is_missed_the_same_way(http: httpx.AsyncClient) -> None:
    first, second = [await http.post(f"/v1/{way}/{ID}", headers={"x-request-id": "r"}) for way in ("plain", "solved")]
    assert first.status_code == 422
    assert first.json()["errors"] == [{"pointer": "", "reason": "missing", "detail": "Field required"}]
    assert first.content == second.content


async def test_only_what_fastapi_must_solve_is_solved_by_it(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    solver = []

    async def solve(**_: Any) -> None:
        solver.append(1)
        raise RuntimeError

    monkeypatch.setattr("fastapi.routing.solve_dependencies", solve)
    assert (await http.post(f"/v1/plain/{ID}", json={"count": 3})).status_code == 200
    assert (await http.get("/v1/bare")).text == "bare"
    assert solver == []
    assert (await http.post(f"/v1/solved/{ID}", json={"count": 3})).status_code == 500
    assert solver == [1]


async def test_an_optional_body_may_be_left_out(http: httpx.AsyncClient) -> None:
    assert (await http.post("/v1/optional")).text == "POST ana - None"
    assert (await http.post("/v1/optional", content="null", headers=JSON)).text == "POST ana - None"
    assert (await http.post("/v1/optional", json={})).status_code == 422
    assert (await http.post("/v1/optional", json={"count": 1})).text == "POST ana 1 None"
