"""Short links at the root of the site, as browsers, apps and crawlers open them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from services.content.definition import CONTENT
from shared.http.mounting import mounted
from shared.roles import api_app
from tests.content.calls import messages
from tests.content.conftest import Hear
from tests.content.heard import of_community
from tests.content.test_shares_api import shared
from tests.support.serving import Served

LANDING = "https://acme.example/join?from=qunli#top"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

Browse = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def browse(runners: Served, hear: Hear) -> AsyncIterator[Browse]:
    """Makes a browser, which keeps its cookies, before the site as the role `api` serves it alone. The community has a
    landing page."""
    await hear(of_community("community-founded", landing_url=LANDING))
    async with AsyncExitStack() as stack:
        root = mounted({"content": api_app(CONTENT, runners.kernel.settings, keys=runners.issuer.keys())})
        await stack.enter_async_context(root.router.lifespan_context(root))
        opened: list[httpx.AsyncClient] = []

        def browser(user_agent: str | None = FIREFOX, site: str = "https://qunli.example") -> httpx.AsyncClient:
            transport = httpx.ASGITransport(root, raise_app_exceptions=False)
            client = httpx.AsyncClient(transport=transport, base_url=site, headers={"User-Agent": user_agent or ""})
            if user_agent is None:
                del client.headers["User-Agent"]
            opened.append(client)
            return client

        yield browser
        for client in opened:
            await client.aclose()


@pytest.fixture
async def code(runners: Served) -> str:
    """Of a share of bo's."""
    return str((await shared(runners.person("bo")))["code"])


async def visits(served: Served) -> list[dict[str, Any]]:
    return [data for type_name, data in await messages(served) if type_name == "content.share-visited.v1"]


async def counted(served: Served, code: str) -> int:
    found: int = (await served.person("ana").get(f"/v1/shares/{code}")).json()["visits"]
    return found


def bearer(served: Served, person: str, organization: str = "acme", scope: str = "") -> dict[str, str]:
    return {"Authorization": f"Bearer {served.issuer.sign(sub=person, org=organization, scope=scope)}"}


async def test_a_link_leads_to_the_landing_page_and_tells_it_the_code(browse: Browse, code: str) -> None:
    for typed in (code, code.lower(), code.replace("1", "I").replace("0", "O")):
        answer = await browse().get(f"/s/{typed}")
        assert answer.status_code == 302
        assert answer.headers["location"] == f"https://acme.example/join?from=qunli&share_code={code}#top"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-request-id"]


async def test_a_link_leads_nowhere_else(browse: Browse, code: str) -> None:
    for asked in (
        f"/s/{code}?next=https://evil.example",
        f"/s/{code}?landing_url=https://evil.example&share_code=EVIL",
        f"/s/{code}?https://evil.example",
    ):
        answer = await browse().get(asked, headers={"Host": "qunli.example", "Referer": "https://evil.example/"})
        assert answer.headers["location"] == f"https://acme.example/join?from=qunli&share_code={code}#top"


@pytest.mark.parametrize("path", ["/s/00000000", "/s/x", "/s/", "/s/https:%2F%2Fevil.example", "/s/00000000/more"])
async def test_an_unknown_code_leads_nowhere(browse: Browse, runners: Served, path: str) -> None:
    answer = await browse().get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "location" not in answer.headers and "set-cookie" not in answer.headers
    assert await visits(runners) == []


async def test_without_a_landing_page_a_plain_page_shows_the_code(runners: Served, code: str) -> None:
    answer = await runners.http.get(f"/s/{code.lower()}", headers={"User-Agent": FIREFOX})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert code in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert await counted(runners, code) == 1


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_a_link_is_opened_by_get_only(browse: Browse, runners: Served, code: str, method: str) -> None:
    answer = await browse().request(method, f"/s/{code}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert await visits(runners) == []


async def test_a_link_is_served_at_the_root_only(browse: Browse, runners: Served, code: str) -> None:
    assert (await browse().get(f"/content/s/{code}")).status_code == 404
    assert await visits(runners) == []


async def test_a_browser_is_one_visitor_by_its_cookie(browse: Browse, runners: Served, code: str) -> None:
    browser = browse()
    first = await browser.get(f"/s/{code}")
    cookie = SimpleCookie(first.headers["set-cookie"])["qunli_visitor"]
    assert {name: value for name, value in cookie.items() if value} == {
        "httponly": True,
        "samesite": "lax",
        "secure": True,
        "max-age": "31536000",
        "path": "/s/",
    }
    again = await browser.get(f"/s/{code}")
    assert (again.status_code, again.headers["location"]) == (302, first.headers["location"])
    assert "set-cookie" not in again.headers
    assert await counted(runners, code) == 1
    await browse().get(f"/s/{code}")
    assert await counted(runners, code) == 2
    assert [(visit["visitor"], visit["counts"], visit["sharer"]) for visit in await visits(runners)] == [
        (None, True, "bo")
    ] * 2


async def test_over_plain_http_the_cookie_is_not_for_https_only(browse: Browse, code: str) -> None:
    answer = await browse(site="http://qunli.example").get(f"/s/{code}")
    assert "secure" not in answer.headers["set-cookie"].lower()
    behind = await browse(site="http://qunli.example").get(f"/s/{code}", headers={"X-Forwarded-Proto": "https"})
    assert "secure" in behind.headers["set-cookie"].lower()


@pytest.mark.parametrize("value", ["", "x", "x" * 23, "群力", "x" * 21 + ";"])
async def test_a_cookie_that_is_none_of_ours_is_replaced(browse: Browse, code: str, value: str) -> None:
    answer = await browse().get(f"/s/{code}", headers={b"Cookie": f"qunli_visitor={value}".encode()})
    assert answer.status_code == 302
    assert answer.cookies["qunli_visitor"] != value


async def test_a_person_is_known_by_the_token(browse: Browse, runners: Served, code: str) -> None:
    for _ in range(2):
        assert (await browse().get(f"/s/{code}", headers=bearer(runners, "cy"))).status_code == 302
    await browse(user_agent="okhttp/4.12.0").get(f"/s/{code}", headers=bearer(runners, "cy"))
    assert [visit["visitor"] for visit in await visits(runners)] == ["cy"]
    assert await counted(runners, code) == 1


async def test_a_token_that_names_nobody_here_is_as_none(browse: Browse, runners: Served, code: str) -> None:
    """Of another organization, of a machine, expired, or nonsense: the link leads on."""
    for headers in (
        bearer(runners, "cy", "umbrella"),
        bearer(runners, "machine", scope="import"),
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic eDp5"},
    ):
        assert (await browse().get(f"/s/{code}", headers=headers)).status_code == 302
    assert [visit["visitor"] for visit in await visits(runners)] == [None] * 4
    assert await counted(runners, code) == 4


async def test_the_sharer_s_own_visits_do_not_count(browse: Browse, runners: Served, code: str) -> None:
    assert (await browse().get(f"/s/{code}", headers=bearer(runners, "bo"))).status_code == 302
    assert [(visit["visitor"], visit["counts"]) for visit in await visits(runners)] == [("bo", False)]
    assert await counted(runners, code) == 0
    # In another organization it is somebody else.
    await browse().get(f"/s/{code}", headers=bearer(runners, "bo", "umbrella"))
    assert await counted(runners, code) == 1


async def test_crawlers_are_recorded_once_a_day_and_do_not_count(browse: Browse, runners: Served, code: str) -> None:
    for user_agent in (GOOGLEBOT, GOOGLEBOT.replace("2.1", "2.2"), "curl/8.5.0", None, ""):
        for _ in range(3):
            answer = await browse(user_agent=user_agent).get(f"/s/{code}")
            assert answer.status_code == 302
            assert "set-cookie" not in answer.headers
    found = await visits(runners)
    assert [(visit["visitor"], visit["counts"]) for visit in found] == [(None, False)] * 3
    assert await counted(runners, code) == 0


async def test_parallel_opens_of_one_visitor_are_one_visit(browse: Browse, runners: Served, code: str) -> None:
    cookie = {"Cookie": f"qunli_visitor={'x' * 22}"}
    answers = await asyncio.gather(
        *(browse().get(f"/s/{code}", headers=cookie) for _ in range(20)),
        *(browse().get(f"/s/{code}", headers=bearer(runners, "cy")) for _ in range(20)),
    )
    assert Counter(answer.status_code for answer in answers) == {302: 40}
    assert Counter(visit["visitor"] for visit in await visits(runners)) == {None: 1, "cy": 1}
    assert await counted(runners, code) == 2


async def test_two_processes_record_one_visit_once(browse: Browse, runners: Served, code: str) -> None:
    cookie = {"Cookie": f"qunli_visitor={'x' * 22}", "User-Agent": FIREFOX}
    site = browse()
    answers = await asyncio.gather(
        *(http.get(f"/s/{code}", headers=cookie) for _ in range(15) for http in (site, runners.http))
    )
    assert Counter(answer.status_code for answer in answers) == {302: 30}
    assert await counted(runners, code) == 1


async def test_a_visitor_is_counted_for_each_share(browse: Browse, runners: Served, code: str) -> None:
    other = (await shared(runners.person("ana")))["code"]
    browser = browse()
    for opened in (code, other, code, other):
        await browser.get(f"/s/{opened}")
    assert (await counted(runners, code), await counted(runners, other)) == (1, 1)
