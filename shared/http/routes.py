"""Routes that are served without FastAPI's solver wherever nothing needs it; FastAPI still reads them for OpenAPI.

Its way through one request (solver, exit stacks, wrappers) takes longer than the edge, the checks and a small endpoint
together, and every dependency adds 15 microseconds. Ours (caller, keys, tokens, service) need the request only, so a
route asks them itself, before the body is looked at. If what is left is a path, a body and a Response, it calls the
endpoint itself as well; else FastAPI does the rest.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, cast, get_args, get_type_hints

from fastapi import APIRouter, params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http.request import KEY, Received, received

Ask = Callable[[Request], Awaitable[Any]]
Endpoint = Callable[..., Coroutine[Any, Any, Any]]

_HIDDEN = "request_of_the_route"
_NO_BODY = {"type": "missing", "loc": ("body",), "msg": "Field required"}


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
        if self._is_plain():
            self.app = self._plainly(endpoint)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        asks = tuple(self.asks.items())

        async def handle(request: Request) -> Response:
            answers = received(request).answers
            for name, ask in asks:
                answers[name] = await ask(request)
            return await handler(request)

        return handle if asks else handler

    def _is_plain(self) -> bool:
        needs, body = self.dependant, self.body_field
        returned = inspect.signature(self.endpoint).return_annotation
        return (
            isinstance(returned, type)
            and issubclass(returned, Response)
            and not (needs.dependencies or needs.query_params or needs.header_params or needs.cookie_params)
            and not (needs.response_param_name or needs.background_tasks_param_name)
            and (body is None or not self._embed_body_fields)
        )

    def _plainly(self, endpoint: Endpoint) -> ASGIApp:
        asks = tuple(self.asks.items())
        fields = tuple(self.dependant.path_params)
        body = self.dependant.body_params[0] if self.body_field is not None else None
        own = _request_parameter(endpoint)

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive, send)
            values: dict[str, Any] = {} if own is None else {own: request}
            for name, ask in asks:
                values[name] = await ask(request)
            errors: list[Any] = []
            for field in fields:
                given = scope["path_params"][field.alias]
                values[field.name], wrong = field.validate(given, {}, loc=("path", field.alias))
                errors += wrong
            got: Received = scope[KEY]
            if body is not None and got.body:
                values[body.name], wrong = body.validate(got.json, {}, loc=("body",))
                errors += wrong
            elif body is not None and body.field_info.is_required():
                errors.append(_NO_BODY)
            if errors:
                raise RequestValidationError(errors)
            response: Response = await endpoint(**values)
            await response(scope, receive, send)

        return serve


def service_router(**options: Any) -> APIRouter:
    """An APIRouter for the routes of a service."""
    return APIRouter(route_class=EdgeRoute, **options)


def _asks(endpoint: Endpoint) -> dict[str, Ask]:
    found: dict[str, Ask] = {}
    for name, annotation in get_type_hints(endpoint, include_extras=True).items():
        for part in get_args(annotation):
            if isinstance(part, params.Depends) and hasattr(part.dependency, "documented"):
                found[name] = cast(Ask, part.dependency)
    return found


def _request_parameter(endpoint: Endpoint) -> str | None:
    return next((name for name, hint in get_type_hints(endpoint).items() if hint is Request), None)


def _without(endpoint: Endpoint, asks: Mapping[str, Ask]) -> Endpoint:
    """The endpoint as FastAPI sees it: the parameters that are asked beforehand replaced by the request."""
    hints = get_type_hints(endpoint, include_extras=True)
    signature = inspect.signature(endpoint)
    own = _request_parameter(endpoint)

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
