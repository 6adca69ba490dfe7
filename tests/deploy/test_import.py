"""`make import` of small dumps against a whole system: what is on the boards is what the file says, and a second run
changes nothing."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.deploy.imports import board, import_files, read_items
from tests.support.system import ROOT, System, run_tool

pytestmark = pytest.mark.timeout(180)


def small_dump(folder: Path) -> Path:
    """Two authors, and one who only comments; one writes seven answers on one day, one long text, one nothing at all."""
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
    comment = '<row Id="{}" PostId="{}" Text="{}" CreationDate="2020-03-04T10:00:00.000" {} />'
    comments = [
        *(comment.format(n, 1, f"Comment {n} &lt;b&gt;", 'UserId="9"') for n in range(1, 13)),
        comment.format(13, 10, "Thanks.", 'UserId="7"'),
        comment.format(14, 1, "Nobody's.", 'UserDisplayName="user23"'),
        comment.format(15, 1, "The site's.", 'UserId="-1"'),
        comment.format(16, 22, "On the site's.", 'UserId="9"'),
        comment.format(17, 20, "On what the API refused.", 'UserId="9"'),
        comment.format(18, 1, "  ", 'UserId="7"'),
    ]
    (folder / "Comments.xml").write_text("<comments>" + "\n".join(comments) + "</comments>")
    (folder / "Users.xml").write_text('<users><row Id="8" CreationDate="2020-02-28T12:00:00.000"/></users>')
    (folder / "Votes.xml").write_text('<votes><row Id="1" PostId="1" VoteTypeId="2"/></votes>')
    return folder


async def test_a_small_dump_is_imported_once(system: System, tmp_path: Path) -> None:
    dump = small_dump(tmp_path / "tiny")
    imported = import_files(system, "--dump", dump, "--community", "Tiny")
    assert {
        "authors 3 1 joined on the account's date (Users.xml), 2 on the date of the first post or comment",
        "posts 10 1 questions, 9 answers",
        "comments 15",
        "new 8 posts of this run, 13 comments, and 3 authors",
        "known 0 posts of an earlier run, 0 comments, and 0 authors",
        "skipped 1 posts by user -1, the site itself",
        "skipped 1 posts that are neither question nor answer",
        "skipped 1 posts refused: invalid-request: /body string-too-long",
        "skipped 1 posts refused: invalid-request: /body string-too-short",
        "skipped 1 comments without a known owner",
        "skipped 1 comments by user -1, the site itself",
        "skipped 2 comments on a post that was not imported",
        "skipped 1 comments refused: invalid-request: /body string-pattern-mismatch",
        "skipped 1 votes; the dump does not say who voted",
    } <= set(imported.said.splitlines()), imported.said

    # Seven answers of which five count; twelve comments of which ten count; a question and a comment.
    points = [(1, "se-tiny-8", 50), (1, "se-tiny-9", 50), (3, "se-tiny-7", 15)]
    assert board(system, imported, "points") == points
    feed = read_items(system, f"/content/v1/communities/{imported.community}/posts?limit=100", imported.reader)
    (question,) = (post["id"] for post in feed if post["kind"] == "question")
    thread = list(read_items(system, f"/content/v1/posts/{question}/comments", imported.reader))
    assert [comment["floor"] for comment in thread] == list(range(1, 13))
    assert {comment["body"] for comment in thread} == {f"Comment {n} <b>" for n in range(1, 13)}
    assert {comment["occurred_at"] for comment in thread} == {"2020-03-04T10:00:00.000000Z"}
    before = await system.row_counts()

    again = import_files(system, "--dump", dump, "--community", "Tiny")
    assert again.community == imported.community
    assert "known 8 posts of an earlier run, 13 comments, and 3 authors" in again.said
    assert await system.row_counts() == before


def test_who_has_left_writes_no_more(system: System, tmp_path: Path) -> None:
    dump = small_dump(tmp_path / "left")
    community = import_files(system, "--dump", dump, "--community", "Left").community
    with httpx.Client(base_url=system.url, timeout=20) as http:
        token = http.post("/dev/tokens", json={"sub": "se-left-7", "org": "demo"}).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "bye"}
        left = http.post(f"/membership/v1/communities/{community}/members/me/leave", headers=headers)
        heard = {"Authorization": f"Bearer {token}", "Consistency-Token": left.headers["consistency-token"]}
        assert http.get(f"/content/v1/communities/{community}/posts", headers=heard).status_code == 403
    for table in ("Posts", "Comments"):
        file = dump / f"{table}.xml"
        file.write_text(file.read_text().replace('<row Id="1"', '<row Id="2"').replace('<row Id="13"', '<row Id="19"'))
    (dump / "Comments.xml").write_text((dump / "Comments.xml").read_text().replace('PostId="1"', 'PostId="2"'))
    said = import_files(system, "--dump", dump, "--community", "Left").said
    assert "skipped 1 posts refused: not-a-member" in said
    assert "skipped 1 comments refused: not-a-member" in said


async def test_a_dump_that_changed_meanwhile_keeps_what_was_imported(system: System, tmp_path: Path) -> None:
    dump = small_dump(tmp_path / "later")
    imported = import_files(system, "--dump", dump, "--community", "Later")
    before = await system.row_counts()
    (dump / "Users.xml").unlink()  # now another author seems to have joined first
    posts = dump / "Posts.xml"
    posts.write_text(posts.read_text().replace("Answer 3", "Answer three").replace('Id="11"', 'Id="31"'))
    comments = dump / "Comments.xml"
    comments.write_text(comments.read_text().replace("Thanks.", "Thank you."))
    again = import_files(system, "--dump", dump, "--community", "Later")
    assert again[1:] == imported[1:]
    assert "skipped 1 posts changed in the source since an earlier import; kept as it was" in again.said
    assert "skipped 1 comments changed in the source since an earlier import; kept as it was" in again.said
    assert "new 1 posts of this run, 0 comments, and 0 authors" in again.said
    after = await system.row_counts()
    assert after["content.events"] == before["content.events"] + 1
    assert after["membership.events"] == before["membership.events"]


def test_an_import_that_was_interrupted_is_finished_by_the_next(system: System, tmp_path: Path) -> None:
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

    imported = import_files(system, "--dump", dump, "--community", "Long")
    new, known = (int(imported.said.split(f"\n{word} ")[1].split()[0]) for word in ("new", "known"))
    assert new + known == 400 and known > 0
    # Forty posts each, never more than five on a day.
    assert [value for _, _, value in board(system, imported, "points")] == [400] * 10


def test_an_import_needs_a_running_system_and_one_thing_to_load(tmp_path: Path) -> None:
    dump = small_dump(tmp_path / "alone")
    code, said = run_tool("deploy.local.importer", "--url", "http://127.0.0.1:9", "--dump", dump)
    assert code == 1 and "make run" in said
    for arguments in ((), ("--dump", dump, "--cdnow", dump)):
        code, said = run_tool("deploy.local.importer", *arguments)
        assert code == 2 and "make import DUMP=" in said and "make import CDNOW=" in said
