"""`make demo` against a whole system: twice, with the numbers that the story makes."""

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from deploy.local import client
from deploy.local.storytelling import money
from tests.support.system import ROOT, System, run_tool

pytestmark = pytest.mark.timeout(180)

# Worked by hand from the story. A post 10, a comment 5, a reaction 1, a share 8; a point for each 100 minor units.
POINTS = [
    (1, "yan", "400"),  # 599.00 less 199.00
    (2, "kai", "352"),  # 88.80: 88; 256.00: 256; a share
    (3, "mei", "93"),  # five of seven posts, as the sixth counts no more than the seventh; a reply, a share; 30.00: 30
    (4, "jun", "26"),  # two posts, a comment, a reaction
    (5, "hui", "16"),  # a post, a comment, a reaction; 128.00 less 128.00
    (6, "lin", "11"),  # an announcement, a reaction
    (6, "tao", "11"),  # a post that was removed and restored, a removed comment, a reaction
]  # bo: a hidden post, a withdrawn reaction
# The same, a first join 5, a purchase 20. Twenty days halve: 20 × 2^(-20/7) = 2.76.
ACTIVITY = [
    (1, "mei", "88.00"), (2, "kai", "35.76"), (3, "jun", "31.00"), (4, "yan", "25.00"), (5, "hui", "21.00"),
    (6, "lin", "16.00"), (6, "tao", "16.00"), (8, "bo", "5.00"), (8, "ping", "5.00"), (8, "rui", "5.00"),
]  # fmt: skip
# A tenth. yan's by mei's code: of 500.00, and after the refund of floor(50000 × 40000 / 59900) = 333.88; kai's by the
# binding to mei: of 88.80 and 256.00. hui's by the binding to lin, returned; mei's own, whose own code is no code: of 30.00.
COMMISSION = [(1, "mei", "67.86 CNY"), (2, "lin", "3.00 CNY")]
LEDGER = {
    ("code", "50.00", "pending", "campaigns.purchase-attributed.v1"),
    ("code", "-16.62", "pending", "campaigns.purchase-refunded.v1"),
    ("bound", "8.88", "pending", "campaigns.purchase-attributed.v1"),
    ("long-ago", "25.60", "payable", "campaigns.purchase-attributed.v1"),
}
ENTRIES = Counter(
    {
        ("+0", "+0", "", "membership.member-joined.v1"): 1,
        ("+10", "+10", "", "content.post-published.v1"): 5,
        ("+10", "+0", "daily_cap", "content.post-published.v1"): 2,
        ("-10", "+0", "daily_cap", "content.post-removed.v1"): 1,
        ("+8", "+8", "", "content.content-shared.v1"): 1,
        ("+5", "+5", "", "content.comment-added.v1"): 1,
        ("+30", "+30", "", "campaigns.purchase-recorded.v1"): 1,
    }
)


def on_one_day(seconds: float = 100) -> None:
    """Wait, if the day in Shanghai is about to end: the caps of the story are those of one day."""
    now = datetime.now(ZoneInfo("Asia/Shanghai"))
    left = (now + timedelta(days=1)).replace(hour=0, minute=0, second=1) - now
    if left.total_seconds() < seconds:
        time.sleep(left.total_seconds())


def boards(said: str) -> list[list[tuple[int, str, str]]]:
    """Rank, person and value as shown, of the three boards as printed side by side."""
    found: list[list[tuple[int, str, str]]] = [[], [], []]
    table = said.split("commission\n", 1)[1].split("\n\n", 1)[0]
    for line in table.splitlines():
        for number, cell in enumerate(re.findall(r".{1,27}", line.removeprefix("  "))):
            if cell.strip():
                rank, person, value = cell.split(maxsplit=2)
                found[number].append((int(rank), person, value.strip()))
    return found


def test_the_demo_is_played_twice_and_its_numbers_are_right(system: System) -> None:
    communities = set()
    on_one_day()
    for play in (1, 2):
        code, said = run_tool("deploy.local.demo", "--url", system.url)
        assert code == 0, said
        assert "100% |" in said
        assert boards(said) == [ACTIVITY, POINTS, COMMISSION]

        entries = re.findall(r"^ +([+-]\d+) +([+-]\d+)  (\w*) +(\S+) +[0-9a-f-]{36}$", said, re.MULTILINE)
        assert Counter(entries) == ENTRIES
        assert f"93  points in this community; {93 * play} in all communities of the organization" in said

        ledger = re.findall(r"^  \w{6}-(\S+) +1 +10 % +(\S+)  (\w+) \w+ \d{4}-\d\d-\d\d  (\S+)$", said, re.MULTILINE)
        assert (len(ledger), set(ledger)) == (4, LEDGER)
        assert "67.86  CNY: 42.26 pending, 25.60 payable" in said
        assert "used up by 5 people" in said and "opened by 2, shared on by 1" in said
        communities.add(said.split("Community ")[1][:36])
    assert len(communities) == 2


def test_its_links_work(system: System) -> None:
    _, said = run_tool("deploy.local.demo", "--url", system.url)
    token = httpx.post(f"{system.url}/dev/tokens", json={"sub": "mei", "org": "demo"}).json()["access_token"]
    links = re.findall(r'curl -s -H "Authorization: Bearer \$TOKEN" "(\S+)"', said)
    answers = [httpx.get(link, headers={"Authorization": f"Bearer {token}"}) for link in links]
    assert [answer.status_code for answer in answers] == [200] * 8
    assert answers[1].json()["rank"] == 3
    assert answers[3].json()["effects"][0]["points_given"] == 30
    assert answers[6].json()["sharer"] == "mei"
    assert answers[7].headers["content-type"].startswith("image/svg+xml")
    pages = said.split("API pages: ")[1].strip().split(", ")
    assert [httpx.get(page).status_code for page in pages] == [200] * 4
    (short_link,) = re.findall(r"short link (\S+),", said)
    opened = httpx.get(short_link)
    assert opened.status_code == 302
    assert opened.headers["location"].startswith("https://early-risers.example/join")


def test_an_interrupted_play_ends_quietly_and_another_one_can_follow(system: System) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local.demo", "--url", system.url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    seen = ""
    while "joining" not in seen:
        seen += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Interrupted." in errors and "Traceback" not in errors
    assert run_tool("deploy.local.demo", "--url", system.url)[0] == 0


def test_without_a_running_system_it_says_what_to_do(tmp_path: Path) -> None:
    code, said = run_tool("deploy.local.demo", "--url", "http://127.0.0.1:9")
    assert (code, "Start the system with `make run`" in said) == (1, True)
    with pytest.raises(client.Failed, match="make run"):
        client.running_url(None, tmp_path / "address")
    (tmp_path / "address").write_text("http://127.0.0.1:8400\n")
    assert client.running_url(None, tmp_path / "address") == "http://127.0.0.1:8400"


@pytest.mark.parametrize(("minor", "shown"), [(0, "0.00"), (5, "0.05"), (-1662, "-16.62"), (123456, "1234.56")])
def test_money_is_shown_in_major_units(minor: int, shown: str) -> None:
    assert money(minor) == shown
