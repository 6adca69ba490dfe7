"""Services side by side below their path prefixes, each with its own life; the same paths in one process or in four."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from html import escape

import uuid_utils
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route

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


def mounted(apps: Mapping[str, FastAPI]) -> Starlette:
    """One ASGI application of several: `/<name>/...` each, and `/` lists them.

    Mounting alone would not run the lifespans of what is mounted; this one's lifespan runs theirs, in order, and ends
    them in reverse.

    Args:
        apps: path prefix without slashes -> application of `shared.http.app.create_app`.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for app in apps.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    async def index(_: Request) -> HTMLResponse:
        items = "\n".join(_ITEM.format(name=name, title=escape(app.title)) for name, app in apps.items())
        return HTMLResponse(_PAGE.format(items=items))

    async def refused(_: Request, error: Exception) -> Response:
        return problems.answer_to(error, None, str(uuid_utils.uuid7()), {}) or problems.unhandled("")

    routes = [Route("/", index), *(Mount(f"/{name}", app) for name, app in apps.items())]
    root = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: refused})
    root.router.redirect_slashes = False
    return root
