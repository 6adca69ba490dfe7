"""Services side by side below their path prefixes, each with its own life; the same paths in one process or in four."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from html import escape

import uuid_utils
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from shared.http import problems

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Qunli</title>
<style>body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem }}</style>
<h1>Qunli</h1>
<ul>
{items}
</ul>
"""
_ITEM = (
    '<li><b>{title}</b>: <a href="/{name}/docs">API</a>, <a href="/{name}/openapi.json">OpenAPI</a>, '
    '<a href="/{name}/readyz">ready?</a>, <a href="/{name}/metrics">metrics</a>'
)


async def _get_only(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise HTTPException(405, headers={"allow": "GET"})


class _Root(Starlette):
    """Starlette, but for what is mounted: that is called directly, as `Mount` would after Starlette's own middlewares and
    router, which take as long as half the edge of a service.

    Attributes:
        apps: by path prefix.
        roots: by the first part of a path at the root of the site, the application that serves it there: GET only, for
            opening such an address is an act.
    """

    apps: Mapping[str, FastAPI]
    roots: Mapping[str, FastAPI]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope.get("root_path"):
            name, slash, _ = scope["path"][1:].partition("/")
            if slash and name in self.apps:
                below = {"app_root_path": "", "root_path": f"/{name}", "path_params": {}}
                await self.apps[name]({**scope, **below}, receive, send)
                return
            if slash and name in self.roots and scope["method"] == "GET":
                await self.roots[name](scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def mounted(
    apps: Mapping[str, FastAPI],
    *,
    around: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    within: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
) -> Starlette:
    """One ASGI application of several: `/<name>/...` each, what they serve at the root of the site, and `/`, which lists
    them.

    Mounting alone would not run the lifespans of what is mounted; this one's lifespan runs theirs, in order, and ends
    them in reverse.

    Args:
        apps: path prefix without slashes -> application of `shared.http.app.create_app`.
        around: opened before them and closed after them.
        within: opened after them and closed before them.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with around(), AsyncExitStack() as stack:
            for app in apps.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            await stack.enter_async_context(within())
            yield

    async def index(_: Request) -> HTMLResponse:
        items = "\n".join(_ITEM.format(name=name, title=escape(app.title)) for name, app in apps.items())
        return HTMLResponse(_PAGE.format(items=items))

    async def refused(_: Request, error: Exception) -> Response:
        request_id = str(uuid_utils.uuid7())
        response = problems.answer_to(error, None, request_id, {}) or problems.unhandled(request_id)
        response.headers["x-request-id"] = request_id
        return response

    roots = {root: app for app in apps.values() for root in getattr(app, "roots", ())}
    routes = [
        Route("/", index),
        *(Mount(f"/{name}", app) for name, app in apps.items()),
        *(Mount(f"/{root}", _get_only) for root in roots),
    ]
    root = _Root(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: refused})
    root.apps, root.roots = apps, roots
    root.router.redirect_slashes = False
    return root
