"""Where this system is, as its callers see it."""

import re

from starlette.requests import Request

from shared.http.request import received

_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")


def scheme_of(request: Request) -> str:
    """`https`, also where it ends at an ingress in front of us; else `http`."""
    said = received(request).header(b"x-forwarded-proto") or request.scope.get("scheme")
    return "https" if said == "https" else "http"


def site_of(request: Request) -> str:
    """Scheme and host of the address that the caller used."""
    host = received(request).header(b"host") or ""
    if _HOST.fullmatch(host) is None:
        name, port = request.scope.get("server") or ("localhost", None)
        host = name if port is None else f"{name}:{port}"
    return f"{scheme_of(request)}://{host}"
