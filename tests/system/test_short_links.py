"""Short links stand at the root of the site, beside the services."""

import pytest

from tests.system.callers import Callers

pytestmark = pytest.mark.postgres

FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}


def visits(callers: Callers) -> int:
    found: int = callers.send("GET", f"/content/v1/shares/{callers.place['code']}", "ben").json()["visits"]
    return found


def test_a_short_link_is_opened_without_a_token(callers: Callers) -> None:
    share = callers.send("GET", f"/content/v1/shares/{callers.place['code']}", "ben").json()
    assert share["link"] == f"{callers.http.base_url.copy_with(path='/s/')}{share['code']}"
    before = visits(callers)
    for _ in range(2):
        opened = callers.http.get(share["link"], headers=FIREFOX)
        assert opened.status_code == 200  # the community has no landing page
        assert share["code"] in opened.text
    assert visits(callers) == before + 1
    assert callers.http.head(share["link"], headers=FIREFOX).status_code == 405
    assert visits(callers) == before + 1
