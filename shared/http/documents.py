"""What a service publishes about itself: OpenAPI with every refusal, pages without a network, AsyncAPI, schemas."""

import importlib.util
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.routing import BaseRoute

from shared.contracts import file_name
from shared.errors import NotFound
from shared.http.parameters import Documented
from shared.http.problems import Problem, problems
from shared.http.routes import EdgeRoute
from shared.messaging.epochs import RAISED

_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}

_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "A token of the configured issuer (RFC 9068): `sub` and `org`; machines have scopes.",
}


def complete(document: dict[str, Any], routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Add to FastAPI's OpenAPI document what our edge and dependencies do: headers they read, problems they answer."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"), Problem=problem)
    document["components"]["securitySchemes"] = {"bearer": _BEARER}
    for route in routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                operation = document["paths"][route.path_format][method.lower()]
                _complete(operation, list(_documented(route)))
    return document


def _complete(operation: dict[str, Any], dependencies: Sequence[Documented]) -> None:
    parameters = operation.setdefault("parameters", [])
    known = {(parameter["in"], parameter["name"].lower()) for parameter in parameters}
    statuses = {500, 503}
    if any(dependency.secured for dependency in dependencies):
        operation["security"] = [{"bearer": []}]
        statuses |= {400, 401, 403}
    if parameters:
        statuses |= {400, 422}
    if "requestBody" in operation:
        statuses |= {400, 413, 415, 422}
    for dependency in dependencies:
        statuses |= set(dependency.statuses)
        for parameter in dependency.parameters:
            if ("header", parameter["name"].lower()) not in known:
                known.add(("header", parameter["name"].lower()))
                parameters.append(parameter)
    if not parameters:
        del operation["parameters"]
    responses = operation["responses"]
    if "422" in responses and "application/json" in responses["422"].get("content", {}):
        del responses["422"]  # FastAPI's own shape, which is never answered
    for status, response in problems(*sorted(statuses)).items():
        responses.setdefault(str(status), response)
    operation["responses"] = dict(sorted(responses.items()))


def _documented(route: APIRoute) -> Iterator[Documented]:
    asks = route.asks.values() if isinstance(route, EdgeRoute) else ()
    for call in (*asks, *(dependency.call for dependency in route.dependant.dependencies)):
        if isinstance(documented := getattr(call, "documented", None), Documented):
            yield documented


def contracts_router(folder: Path | None, asyncapi: Callable[[], dict[str, Any]] | None) -> APIRouter:
    """Serves what the service publishes on the log: the AsyncAPI document, and the JSON Schemas of a folder, e.g.
    `/schemas/member-joined.v1.schema.json`."""
    router = APIRouter(tags=["contracts"])
    files = {} if folder is None else {path.name: path.read_bytes() for path in folder.glob("*.schema.json")}

    @router.get(
        "/schemas/{file}",
        operation_id="getMessageSchema",
        summary="JSON Schema of a published message",
        response_class=Response,
        responses={200: {"content": {"application/schema+json": {"schema": {"type": "object"}}}}, **problems(404)},
    )
    async def schema(file: str) -> Response:
        """The `ce_dataschema` of a record leads here."""
        if file not in files:
            raise NotFound("schema-not-found", f"Schemas of this service: {', '.join(sorted(files)) or 'none'}.")
        return Response(files[file], media_type="application/schema+json")

    if asyncapi is not None:
        made = cache(asyncapi)
        told = made()["components"]["messages"][RAISED]["payload"]["schema"]
        files[file_name(told["title"])] = json.dumps(told).encode()

        @router.get(
            "/asyncapi.json",
            operation_id="getAsyncApi",
            summary="What the service publishes on the log",
            response_class=JSONResponse,
            responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
        )
        async def events() -> JSONResponse:
            """An AsyncAPI 3.0 document: topics, messages, headers."""
            return JSONResponse(made())

    return router


def docs_router(title: str) -> APIRouter:
    """`/docs`: the API to read and try, without a network."""
    router = APIRouter(include_in_schema=False)
    # Only the files of the package are used: importing it does nothing for us.
    spec = importlib.util.find_spec("fastapi_offline")
    assert spec is not None and spec.origin is not None
    assets = Path(spec.origin).parent / "static"

    @router.get("/docs")
    async def docs(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "")
        return get_swagger_ui_html(
            openapi_url=f"{root}/openapi.json",
            title=title,
            swagger_js_url=f"{root}/docs/swagger-ui-bundle.js",
            swagger_css_url=f"{root}/docs/swagger-ui.css",
            swagger_favicon_url=f"{root}/docs/favicon.png",
        )

    @router.get("/docs/{asset}")
    async def asset(asset: str) -> FileResponse:
        if asset not in _ASSETS:
            raise NotFound("no-such-path", "There is nothing at this path.")
        return FileResponse(assets / asset, media_type=_ASSETS[asset], headers={"cache-control": "max-age=86400"})

    return router
