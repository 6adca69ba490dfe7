"""Short links: `/s/{code}`, at the root of the site."""

import re
import secrets
from typing import Annotated, cast

from fastapi import Path, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from services.content import share
from services.content.api.fields import Service
from services.content.api.site import scheme_of
from services.content.crawlers import crawler_of
from services.content.visit import Visitor
from shared.codes import normalize
from shared.errors import NotFound, Refusal
from shared.http.problems import problems
from shared.http.request import received
from shared.http.routes import service_router
from shared.http.tokens import Identity, Tokens

ROOT = "s"
"""The first part of their paths."""

COOKIE = "qunli_visitor"
_COOKIE_SECONDS = 365 * 24 * 3600
_BROWSER = re.compile(r"[A-Za-z0-9_-]{22}")

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Qunli</title>
<p>Your code is <strong>{code}</strong>. Enter it when you join.</p>
</html>
"""

router = service_router(tags=["short links"])


@router.get(
    f"/{ROOT}/{{code}}",
    operation_id="openShortLink",
    summary="Open a short link",
    status_code=302,
    response_class=Response,
    responses={
        200: {
            "description": "The community has no landing page; a plain page shows the code.",
            "content": {"text/html": {}},
        },
        302: {"description": "To the landing page of the community, with the parameter `share_code`."},
        **problems(404),
    },
    openapi_extra={"servers": [{"url": "/"}]},
)
async def open_short_link(
    service: Service, code: Annotated[str, Path(max_length=32, examples=["5R8T2W4Z"])], request: Request
) -> Response:
    """For everybody, at the root of the site, GET only. Records a visit, one for each visitor and local day: of the
    person, where a token of the share's organization is sent, else of the browser, by a cookie. Crawlers and the sharer
    are recorded and do not count."""
    if request.scope.get("root_path"):
        raise NotFound("no-such-path", "There is nothing at this path.")
    found = normalize(code)
    if found is None:
        raise share.not_found()
    identity, known = await _identity(request), _browser(request)
    crawler = crawler_of(received(request).header(b"user-agent"))
    browser = known or secrets.token_urlsafe(16)

    def visitor_in(organization: str) -> Visitor:
        if identity is not None and not identity.machine and identity.organization == organization:
            return Visitor(person=identity.subject)
        return Visitor(crawler=crawler) if crawler is not None else Visitor(browser=browser)

    landing = await service.links.open(found, visitor_in)
    answer = RedirectResponse(landing, 302) if landing is not None else HTMLResponse(_PAGE.format(code=found))
    answer.headers["cache-control"] = "no-store"
    if known is None and crawler is None:
        answer.set_cookie(
            COOKIE,
            browser,
            max_age=_COOKIE_SECONDS,
            path=f"/{ROOT}/",
            secure=scheme_of(request) == "https",
            httponly=True,
            samesite="lax",
        )
    return answer


async def _identity(request: Request) -> Identity | None:
    """Who sent the token, if there is a valid one; a bad one keeps nobody from where the link leads."""
    authorization = received(request).headers.get(b"authorization")
    if authorization is None:
        return None
    try:
        return await cast(Tokens, request.scope["app"].state.tokens).identity(authorization)
    except Refusal:
        return None


def _browser(request: Request) -> str | None:
    """The id that this browser got earlier, if it is one of ours."""
    value = request.cookies.get(COOKIE)
    return value if value is not None and _BROWSER.fullmatch(value) is not None else None
