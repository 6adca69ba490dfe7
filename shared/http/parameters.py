"""Headers that dependencies read from the edge themselves, as OpenAPI shows them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Dependency = TypeVar("Dependency", bound=Callable[..., Any])


@dataclass(frozen=True)
class Documented:
    """What a dependency adds to the operations that use it.

    FastAPI's own header parameters cost several microseconds each, on every request; these cost a look-up.

    Attributes:
        parameters: OpenAPI parameter objects.
        statuses: of the refusals it may raise.
        secured: it needs a token.
    """

    parameters: tuple[dict[str, Any], ...] = ()
    statuses: tuple[int, ...] = ()
    secured: bool = False


def header_parameter(
    name: str, description: str, *, required: bool = False, example: str | None = None
) -> dict[str, Any]:
    """An OpenAPI parameter object for a request header."""
    parameter = {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }
    return parameter if example is None else {**parameter, "example": example}


def documents(documented: Documented) -> Callable[[Dependency], Dependency]:
    """Mark an edge dependency, `async def (request)`, with what it adds to OpenAPI; see `shared.http.routes`."""

    def attach(dependency: Dependency) -> Dependency:
        dependency.documented = documented  # type: ignore[attr-defined]
        return dependency

    return attach
