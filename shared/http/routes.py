"""Routes whose edge dependencies (caller, keys, tokens, service) cost one call each.

FastAPI's solver takes 15 microseconds for every dependency of every request, more than most of ours take themselves.
They need the request only, so a route asks them itself, before FastAPI reads the body; FastAPI sees the rest.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, get_args, get_type_hints

from fastapi import APIRouter, params
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from shared.http.request import received

Ask = Callable[[Request], Awaitable[Any]]
Endpoint = Callable[..., Coroutine[Any, Any, Any]]

_HIDDEN = "request_of_the_route"


class EdgeRoute(APIRoute):
    """A route of a service.

    Attributes:
        asks: parameter of the endpoint -> its edge dependency.
    """

    def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
        if not inspect.iscoroutinefunction(endpoint):
            raise TypeError(f"{endpoint.__name__} must be `async def`: threads are not used to serve requests")
        self.asks = _asks(endpoint)
        super().__init__(path, _without(endpoint, self.asks) if self.asks else endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        asks = tuple(self.asks.items())

        async def handle(request: Request) -> Response:
            answers = received(request).answers
            for name, ask in asks:
                answers[name] = await ask(request)
            return await handler(request)

        return handle if asks else handler


def service_router(**options: Any) -> APIRouter:
    """An APIRouter for the routes of a service."""
    return APIRouter(route_class=EdgeRoute, **options)


def _asks(endpoint: Endpoint) -> dict[str, Ask]:
    found: dict[str, Ask] = {}
    for name, annotation in get_type_hints(endpoint, include_extras=True).items():
        for part in get_args(annotation):
            if isinstance(part, params.Depends) and hasattr(part.dependency, "documented"):
                assert part.dependency is not None
                found[name] = part.dependency
    return found


def _without(endpoint: Endpoint, asks: Mapping[str, Ask]) -> Endpoint:
    """The endpoint as FastAPI sees it: the parameters that are asked beforehand replaced by the request."""

    hints = get_type_hints(endpoint, include_extras=True)
    signature = inspect.signature(endpoint)
    own = next((name for name, hint in hints.items() if hint is Request), None)

    @functools.wraps(endpoint)
    async def call(**values: Any) -> Any:
        request: Request = values[own] if own is not None else values.pop(_HIDDEN)
        return await endpoint(**values, **received(request).answers)

    kept = [
        parameter.replace(annotation=hints.get(name, parameter.annotation), kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in signature.parameters.items()
        if name not in asks
    ]
    if own is None:
        kept.append(inspect.Parameter(_HIDDEN, inspect.Parameter.KEYWORD_ONLY, annotation=Request))
    returned = None if signature.return_annotation in (None, "None") else hints.get("return", inspect.Signature.empty)
    call.__signature__ = inspect.Signature(kept, return_annotation=returned)  # type: ignore[attr-defined]
    return call
