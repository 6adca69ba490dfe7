"""`make import` against a whole system: what is on the boards is what the file says, and a second run changes nothing."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from tests.support.system import ROOT, System, run_tool

pytestmark = pytest.mark.timeout(180)

REAL = ROOT.parent / "shared" / "data" / "stackexchange-conlang-meta"

Row = dict[str, Any]


def small_dump(folder: Path) -> Path:
    """Two authors; one writes seven answers on one day, one long text, one nothing at all."""
    folder.mkdir()
    row = '<row Id="{}" PostTypeId="{}" CreationDate="{}" OwnerUserId="{}" {} Body="{}" />'
    rows = [
        row.format(1, 1, "2020-03-01T23:59:59.999", 7, 'Title="How?" Tags="|a|b|"', "&lt;p&gt;Say.&lt;/p&gt;"),
        *(row.format(10 + n, 2, f"2020-03-02T10:00:0{n}.000", 8, 'ParentId="1"', f"Answer {n}") for n in range(7)),
        row.format(20, 2, "2020-03-03T10:00:00.000", 7, "", "x" * 20_001),
        row.format(21, 2, "2020-03-03T10:00:00.000", 7, "", "&lt;br&gt;"),
        row.format(22, 2, "2020-03-03T10:00:00.000", -1, "", "The site's."),
        row.format(23, 7, "2020-03-03T10:00:00.000", 7, "", "A wiki."),
    ]
    (folder / "Posts.xml").write_text("<posts>" + "\n".join(rows) + "</posts>")
    (folder / "Users.xml").write_text('<users><row Id="8" CreationDate="2020-02-28T12:00:00.000"/></users>')
    return folder


@pytest.fixture
def http(system: System) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=system.url, timeout=20) as client:
        yield client


def import_dump(system: System, dump: Path, community: str) -> tuple[str, str, str]:
    """Run the import; what it printed, the community's id, and one who may read its boards."""
    code, said = run_tool("deploy.local.importer", "--url", system.url, "--dump", dump, "--community", community)
    assert code == 0, said
    return said, said.split("Community ")[1].split()[0], said.split('"sub": "')[1].split('"')[0]


def board(http: httpx.Client, community: str, metric: str, person: str) -> list[Row]:
    """All rows of a board, from the top."""
    token = http.post("/dev/tokens", json={"sub": person, "org": "demo"}).json()["access_token"]
    path: str | None = f"/scoring/v1/communities/{community}/leaderboards/{metric}?limit=20"
    rows: list[Row] = []
    while path is not None:
        answer = http.get(path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200, answer.text
        rows += answer.json()["items"]
        path = answer.json()["next"]
    return rows


async def test_a_small_dump_is_imported_once(system: System, http: httpx.Client, tmp_path: Path) -> None:
    dump = small_dump(tmp_path / "tiny")
    said, community, reader = import_dump(system, dump, "Tiny")
    lines = {" ".join(line.split()) for line in said.splitlines()}
    assert {
        "authors 2 1 joined on the account's date (Users.xml), 1 on the date of the first post",
        "posts 10 1 questions, 9 answers",
        "new 8 posts of this run, and 2 authors",
        "known 0 posts of an earlier run, and 0 authors",
        "skipped 1 by user -1, the site itself",
        "skipped 1 neither question nor answer",
        "skipped 1 refused: invalid-request: /body string-too-long",
        "skipped 1 refused: invalid-request: /body string-too-short",
    } <= lines, said

    points = [(row["rank"], row["person"], row["value"]) for row in board(http, community, "points", reader)]
    assert points == [(1, "se-tiny-8", 50), (2, "se-tiny-7", 10)]
    before = await system.row_counts()

    again, same_community, _ = import_dump(system, dump, "Tiny")
    assert same_community == community
    assert "known          8   posts of an earlier run, and 2 authors" in again
    assert await system.row_counts() == before


def test_who_has_left_writes_no_more(system: System, http: httpx.Client, tmp_path: Path) -> None:
    dump = small_dump(tmp_path / "left")
    _, community, _ = import_dump(system, dump, "Left")
    token = http.post("/dev/tokens", json={"sub": "se-left-7", "org": "demo"}).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "bye"}
    left = http.post(f"/membership/v1/communities/{community}/members/me/leave", headers=headers)
    heard = {"Authorization": f"Bearer {token}", "Consistency-Token": left.headers["consistency-token"]}
    assert http.get(f"/content/v1/communities/{community}/posts", headers=heard).status_code == 403
    posts = dump / "Posts.xml"
    posts.write_text(posts.read_text().replace('<row Id="1"', '<row Id="2"'))
    said, _, _ = import_dump(system, dump, "Left")
    assert "skipped        1   refused: not-a-member" in said


async def test_a_dump_that_changed_meanwhile_keeps_what_was_imported(system: System, tmp_path: Path) -> None:
    dump = small_dump(tmp_path / "later")
    _, community, owner = import_dump(system, dump, "Later")
    before = await system.row_counts()
    (dump / "Users.xml").unlink()  # now another author seems to have joined first
    posts = dump / "Posts.xml"
    posts.write_text(posts.read_text().replace("Answer 3", "Answer three").replace('Id="11"', 'Id="31"'))
    said, *same = import_dump(system, dump, "Later")
    assert same == [community, owner]
    assert "1   changed in the source since an earlier import; kept as it was" in said
    assert "new            1   posts of this run, and 0 authors" in said
    after = await system.row_counts()
    assert after["content.events"] == before["content.events"] + 1
    assert after["membership.events"] == before["membership.events"]


def test_an_import_that_was_interrupted_is_finished_by_the_next(
    system: System, http: httpx.Client, tmp_path: Path
) -> None:
    dump = tmp_path / "long"
    dump.mkdir()
    row = '<row Id="{0}" PostTypeId="1" CreationDate="2020-03-{1:02}T10:00:00.000" OwnerUserId="{2}" Title="T" Body="B" />'
    rows = [row.format(n, 1 + n % 28, n % 10) for n in range(400)]
    (dump / "Posts.xml").write_text("<posts>" + "".join(rows) + "</posts>")
    arguments = ["--url", system.url, "--dump", str(dump), "--community", "Long"]
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local.importer", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    written = ""
    while not re.search(r"posts .* [1-9]\d*/400", written):
        written += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "goes on where this one stopped" in rest and "Traceback" not in rest

    said, community, reader = import_dump(system, dump, "Long")
    new, known = (int(said.split(f"{word} ")[1].split()[0]) for word in ("new", "known"))
    assert new + known == 400 and known > 0
    # Forty posts each, never more than five on a day.
    assert [row["value"] for row in board(http, community, "points", reader)] == [400] * 10


def test_an_import_needs_a_running_system(tmp_path: Path) -> None:
    dump = small_dump(tmp_path / "alone")
    code, said = run_tool("deploy.local.importer", "--url", "http://127.0.0.1:9", "--dump", dump)
    assert code == 1 and "make run" in said
    assert run_tool("deploy.local.importer")[0] == 2


def members_board(rows: list[tuple[Decimal, str]]) -> list[tuple[int, str]]:
    """Competition ranks (1, 2, 2, 4) of (score, person), equal ones by person."""
    rows.sort(key=lambda row: (-row[0], row[1]))
    return [(1 + sum(other > score for other, _ in rows), person) for score, person in rows]


def expected_boards(folder: Path, half_life: int = 7, cap: int = 5) -> tuple[list[tuple[int, str]], list[Row]]:
    """The boards of activity and of points as the files say, without the product."""
    posts: Counter[tuple[str, date]] = Counter()
    joins: dict[str, date] = {}
    for row in ElementTree.parse(folder / "Posts.xml").getroot():
        owner = row.get("OwnerUserId")
        if row.get("PostTypeId") in {"1", "2"} and owner not in {None, "-1"}:
            posts[str(owner), date.fromisoformat(str(row.get("CreationDate"))[:10])] += 1
    first = {owner: min(day for other, day in posts if other == owner) for owner, _ in posts}
    for row in ElementTree.parse(folder / "Users.xml").getroot():
        joins[str(row.get("Id"))] = date.fromisoformat(str(row.get("CreationDate"))[:10])
    scores: dict[str, Counter[date]] = defaultdict(Counter)
    points: Counter[str] = Counter()
    for (owner, day), count in posts.items():
        scores[owner][day] += 10 * min(count, cap)
        points[owner] += 10 * min(count, cap)
    for owner in scores:
        scores[owner][joins.get(owner, first[owner])] += 5
    activity = []
    with localcontext() as context:
        context.prec = 50
        for owner, days in scores.items():
            decayed = [score * Decimal(2) ** (Decimal(day.toordinal()) / half_life) for day, score in days.items()]
            total = sum(decayed, Decimal(0))
            rounded = total.quantize(
                Decimal(1).scaleb(total.adjusted() - 11)
            )  # equal ones may differ in the last digit
            activity.append((rounded, f"se-conlang-meta-{owner}"))
    ranked = members_board([(Decimal(points[owner]), f"se-conlang-meta-{owner}") for owner in points])
    amounts = [{"rank": rank, "person": person, "value": points[person.rsplit("-", 1)[1]]} for rank, person in ranked]
    return members_board(activity), amounts


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real dump is not at {os.path.relpath(REAL, ROOT)}")
async def test_the_boards_of_a_real_dump_equal_a_computation_from_its_files(system: System, http: httpx.Client) -> None:
    activity, points = expected_boards(REAL)
    assert len(activity) > 40 and len({rank for rank, _ in activity}) < len(activity)  # real data have ties
    said, community, reader = import_dump(system, REAL, "Conlang meta")
    assert [(row["rank"], row["person"]) for row in board(http, community, "activity", reader)] == activity
    assert board(http, community, "points", reader) == points
    assert "skipped        8   neither question nor answer" in said
    assert "skipped        6   without a known owner" in said
    assert "skipped        1   by user -1, the site itself" in said

    before = await system.row_counts()
    again, _, _ = import_dump(system, REAL, "Conlang meta")
    assert "new            0   posts of this run, and 0 authors" in again
    assert await system.row_counts() == before
    assert [(row["rank"], row["person"]) for row in board(http, community, "activity", reader)] == activity
