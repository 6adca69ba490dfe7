"""`make demo` against a whole system: twice, with the numbers that the story makes."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from deploy.local import client
from deploy.local.demo import POSTS
from tests.support.system import ROOT, System, run_tool

pytestmark = pytest.mark.timeout(180)

# By hand: 10 points a post that stands, at most 5 a day; yan removed one of four, mei one of seven.
POINTS = {
    "mei": 50, "jun": 50, "tao": 50, "lin": 40, "yan": 30, "bo": 30, "hui": 30, "kai": 20, "lei": 20, "min": 20,
    "ning": 20, "ping": 20, "qi": 10, "rui": 10, "shan": 10, "ting": 10, "wei": 10,
}  # fmt: skip
RANKS = {50: 1, 40: 4, 30: 5, 20: 8, 10: 13, 0: 18}


def tables(said: str) -> tuple[dict[str, tuple[int, float]], dict[str, tuple[int, int]]]:
    """Rank and value by person, of both boards as printed."""
    activity, points = {}, {}
    for line in said.splitlines():
        if match := re.fullmatch(r" +(\d+)  (\w+) +(\d+\.\d\d)(?: +(\d+)  (\w+) +(\d+))?", line):
            rank, person, value, *beside = match.groups()
            activity[person] = (int(rank), float(value))
            if beside[0] is not None:
                points[beside[1]] = (int(beside[0]), int(beside[2]))
    return activity, points


def test_the_demo_is_played_twice_and_its_numbers_are_right(system: System) -> None:
    communities = set()
    for play in (1, 2):
        code, said = run_tool("deploy.local.demo", "--url", system.url)
        assert code == 0, said
        activity, points = tables(said)
        assert points == {person: (RANKS[value], value) for person, value in POINTS.items()}
        # A first join weighs 5, so the order by activity is the order by points, and everybody stands on the board.
        everybody = {person: POINTS.get(person, 0) for person in POSTS}
        assert activity == {person: (RANKS[value], value + 5.0) for person, value in everybody.items()}

        entries = re.findall(r"^ +([+-]\d+) +([+-]\d+)  (\w*) +(\S+) +[0-9a-f-]{36}$", said, re.MULTILINE)
        assert [tuple(entry) for entry in entries] == [
            ("+0", "+0", "", "membership.member-joined.v1"),
            *[("+10", "+10", "", "content.post-published.v1")] * 5,
            *[("+10", "+0", "daily_cap", "content.post-published.v1")] * 2,
            ("-10", "+0", "daily_cap", "content.post-removed.v1"),
        ]
        assert f"50  points in this community; {50 * play} in all communities of the organization" in said
        communities.add(said.split("Community ")[1][:36])
    assert len(communities) == 2


def test_its_links_work(system: System) -> None:
    _, said = run_tool("deploy.local.demo", "--url", system.url)
    token = httpx.post(f"{system.url}/dev/tokens", json={"sub": "mei", "org": "demo"}).json()["access_token"]
    links = re.findall(r'curl -s -H "Authorization: Bearer \$TOKEN" "(\S+)"', said)
    answers = [httpx.get(link, headers={"Authorization": f"Bearer {token}"}) for link in links]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert answers[1].json()["rank"] == 1
    assert answers[3].json()["effects"][0]["reason"] == "daily_cap"
    pages = said.split("API pages: ")[1].strip().split(", ")
    assert [httpx.get(page).status_code for page in pages] == [200] * 3


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
