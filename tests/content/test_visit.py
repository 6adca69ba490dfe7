"""Who opened a short link, counted once a day."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from services.content import visit as rules
from services.content.crawlers import NAMELESS, crawler_of
from services.content.usecases.links import with_code
from services.content.visit import FOLD, Visitor
from tests.content.facts import NOW, shared, visited
from tests.support.gwt import given

PERSON = Visitor(person="cy")
BROWSER = Visitor(browser="x" * 22)
CRAWLER = Visitor(crawler="Googlebot")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
WECHAT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
    "MicroMessenger/8.0.49(0x18003137) NetType/WIFI Language/zh_CN"
)


def opens(visitor: Visitor, now: datetime = NOW) -> Any:
    return lambda state: rules.visit(shared(), visitor, state, now=now)


def test_a_visit_counts_but_for_crawlers_and_the_sharer() -> None:
    given(FOLD).when(opens(PERSON)).then(visited())
    given(FOLD).when(opens(BROWSER)).then(visited(visitor=None))
    given(FOLD).when(opens(CRAWLER)).then(visited(visitor=None, crawler="Googlebot", counts=False))
    given(FOLD).when(opens(Visitor(person="bo"))).then(visited(visitor="bo", counts=False))


def test_a_visitor_is_counted_once_on_each_local_day() -> None:
    """NOW is half past one in the morning in Shanghai."""
    midnight = NOW + timedelta(hours=22, minutes=30)
    given(FOLD, visited()).when(opens(PERSON, midnight - timedelta(microseconds=1))).then_nothing_happens()
    given(FOLD, visited()).when(opens(PERSON, midnight)).then(visited(occurred_at=midnight, local_day=date(2026, 3, 3)))


def test_a_clock_that_goes_back_over_midnight_adds_nothing() -> None:
    given(FOLD, visited()).when(opens(PERSON, NOW - timedelta(hours=2))).then_nothing_happens()


def test_visitors_are_told_apart_whatever_they_are_called() -> None:
    same = "x" * 22
    visitors = [Visitor(person=same), Visitor(browser=same), Visitor(crawler=same), Visitor(person="群力/…" * 10)]
    keys = [visitor.key for visitor in visitors]
    assert len(set(keys)) == len(keys)
    assert all(key.isascii() and len(key) < 50 for key in keys)


@pytest.mark.parametrize("user_agent", [FIREFOX, WECHAT])
def test_a_browser_is_no_crawler(user_agent: str) -> None:
    assert crawler_of(user_agent) is None


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
        "Twitterbot/1.0",
        "curl/8.5.0",
        "python-requests/2.32.3",
    ],
)
def test_a_crawler_is_one(user_agent: str) -> None:
    assert crawler_of(user_agent) not in {None, NAMELESS}


def test_crawlers_of_one_kind_are_one_visitor() -> None:
    """Else each version, or each lie about it, would be a visit."""
    versions = {crawler_of(f"Mozilla/5.0 (compatible; Googlebot/{n}.1; {'x' * n})") for n in range(50)}
    assert len(versions) == 1


def test_what_does_not_say_what_it_is_is_no_browser() -> None:
    assert {crawler_of(None), crawler_of(""), crawler_of("  ")} == {NAMELESS}


def test_a_user_agent_of_any_length_is_looked_at_briefly() -> None:
    assert crawler_of("x" * 100_000) is None


@pytest.mark.parametrize(
    ("landing_url", "leads_to"),
    [
        ("https://acme.example", "https://acme.example?share_code=5R8T2W4Z"),
        ("https://acme.example/join", "https://acme.example/join?share_code=5R8T2W4Z"),
        ("https://acme.example/?a=1&b=&a=2#top", "https://acme.example/?a=1&b=&a=2&share_code=5R8T2W4Z#top"),
        ("https://acme.example/?share_code=OLD", "https://acme.example/?share_code=5R8T2W4Z"),
        ("https://acme.example/?q=%E7%BE%A4%26x", "https://acme.example/?q=%E7%BE%A4%26x&share_code=5R8T2W4Z"),
    ],
)
def test_the_landing_page_is_told_the_code(landing_url: str, leads_to: str) -> None:
    assert with_code(landing_url, "5R8T2W4Z") == leads_to
