"""One service as an ASGI application: its routes, its documents, its life."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from shared.http import health
from shared.http.documents import complete, contracts_router, docs_router
from shared.http.edge import Edge
from shared.http.jwks import Keys
from shared.http.parameters import Documented, documents
from shared.http.settings import HttpSettings
from shared.http.sse import Streams
from shared.http.tokens import Tokens

S = TypeVar("S")


class ServiceApp(FastAPI):
    """FastAPI inside our own edge.

    `Edge` takes the place of FastAPI's middlewares for errors, body limits and telemetry: one ring instead of five,
    and one place that answers. `add_middleware` has no effect.
    """

    edge: Callable[[ASGIApp], ASGIApp]
    roots: Sequence[str] = ()

    def build_middleware_stack(self) -> ASGIApp:
        return self.edge(AsyncExitStackMiddleware(self.router))

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi(), self.routes)
        return self.openapi_schema


def create_app(
    *,
    name: str,
    title: str,
    description: str,
    settings: HttpSettings,
    open_service: Callable[[], AbstractAsyncContextManager[S]],
    routers: Sequence[APIRouter],
    roots: Sequence[str] = (),
    schemas: Path | None = None,
    asyncapi: Callable[[], dict[str, Any]] | None = None,
    keys: Keys | None = None,
) -> FastAPI:
    """Build a service's application; nothing is opened before its lifespan begins.

    Args:
        name: the service, also its path prefix and its label in metrics.
        open_service: opens what `get_service` hands to the routes.
        routers: of the service; each route has an `operation_id` of its own. None: only probes and metrics.
        roots: first parts of paths that it serves at the root of the site; see `shared.http.mounting`.
        schemas: folder of the committed JSON Schemas of its messages, served below `/schemas/`.
        asyncapi: makes the document of what it publishes on the log, served as `/asyncapi.json`.
        keys: where token keys come from, if not from the settings' JWKS URL.

    Raises:
        ValueError: there is no way to check tokens.
    """
    tokens = Tokens(settings, keys) if routers else None  # probes need none

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            async with open_service() as service:
                app.state.service = service
                yield
        finally:
            if tokens is not None:
                await tokens.close()

    app = ServiceApp(
        title=title,
        description=description,
        version="1",
        lifespan=lifespan,
        servers=[{"url": f"/{name}"}],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.roots = roots
    app.state.tokens = tokens
    app.state.streams = Streams(name, most=settings.most_streams, most_of_one=settings.most_streams_of_one)
    for router in (*routers, health.router, contracts_router(schemas, asyncapi), docs_router(title)):
        # Flat: FastAPI's include_router matches every request twice.
        for route in router.routes:
            if not isinstance(route, Route):
                raise TypeError(f"{route!r}: give each router to create_app by itself, not inside another one")
            app.router.routes.append(route)
    app.edge = lambda inner: Edge(inner, service=name, routes=app.routes, settings=settings)
    return app


@documents(Documented())
async def get_service(request: Request) -> Any:
    """The service, for `Annotated[Membership, Depends(get_service)]`."""
    return request.scope["app"].state.service
