"""What the edge has already read of a request, for the dependencies of the routes."""

from typing import TYPE_CHECKING, Any, Final

from starlette.requests import HTTPConnection

from shared.commands.cause import Request

if TYPE_CHECKING:
    from shared.http.callers import Caller

KEY: Final = "qunli.request"


class Received:
    """One request as the edge read it.

    Attributes:
        id: the request id, answered as `X-Request-Id`.
        headers: name in lower case -> value; a header that may be given once was given once.
        body: as sent, at most the body limit.
        json: the body, read.
        answers: what the edge dependencies of the route answered, by parameter.
        bodiless: it is a HEAD, which routes see as a GET.
        route: method and path.
        caller: who sent it, once it is authenticated; its `key` owns the idempotency keys.
    """

    __slots__ = ("answers", "bodiless", "body", "caller", "headers", "id", "json", "route")

    def __init__(
        self, id: str, headers: dict[bytes, bytes], body: bytes = b"", *, bodiless: bool = False, route: str = ""
    ) -> None:
        self.id = id
        self.headers = headers
        self.body = body
        self.json: Any = None
        self.answers: dict[str, Any] = {}
        self.bodiless = bodiless
        self.route = route
        self.caller: Caller | None = None

    def cause(self) -> Request:
        """This request, as the cause of what it changes."""
        return Request(self.id, self.route, None if self.caller is None else self.caller.key)

    def header(self, name: bytes) -> str | None:
        """The value of a header (name in lower case), or None."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


def received(request: HTTPConnection) -> Received:
    """What the edge read of this request."""
    found: Any = request.scope[KEY]
    return found  # type: ignore[no-any-return]
