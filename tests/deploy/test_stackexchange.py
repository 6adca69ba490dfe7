"""Reading a dump."""

from pathlib import Path

import pytest

from deploy.local.importing.markup import text_of
from deploy.local.importing.stackexchange import Dump, DumpRefused, Skip, comments, posts, rows, survey

POSTS = """\ufeff<?xml version="1.0" encoding="utf-8"?>
<posts>
  <row Id="1" PostTypeId="1" CreationDate="2018-02-06T20:19:50.957" OwnerUserId="14" Title="Which tags?"
       Body="&lt;p&gt;One &amp;amp; all&lt;/p&gt;" Tags="&lt;tags&gt;&lt;on-topic&gt;" />
  <row Id="2" PostTypeId="2" ParentId="1" CreationDate="2018-02-05T01:00:00.000" OwnerUserId="15" Body="Both." />
  <row Id="3" PostTypeId="2" ParentId="1" CreationDate="2018-02-07T01:00:00.000" OwnerUserId="15" Body="Or none." />
  <row Id="4" PostTypeId="2" ParentId="1" CreationDate="2018-02-07T01:00:00.000" Body="Nobody's." />
  <row Id="5" PostTypeId="2" ParentId="1" CreationDate="2018-02-07T01:00:00.000" OwnerUserId="-1" Body="The site's." />
  <row Id="6" PostTypeId="5" CreationDate="2018-02-07T01:00:00.000" OwnerUserId="14" Body="A wiki." />
</posts>
"""
COMMENTS = """<?xml version="1.0" encoding="utf-8"?>
<comments>
  <row Id="1" PostId="1" Score="1" Text="Why *not* &lt;&lt;both&gt;&gt;?" CreationDate="2018-02-08T01:00:00.000" UserId="16" />
  <row Id="2" PostId="3" Text="Nobody's." CreationDate="2018-02-08T01:00:00.000" UserDisplayName="user23" />
  <row Id="3" PostId="3" Text="The site's." CreationDate="2018-02-08T01:00:00.000" UserId="-1" />
  <row Id="4" PostId="5" Text="On the site's." CreationDate="2018-02-01T01:00:00.000" UserId="17" />
  <row Id="5" PostId="3" Text="First." CreationDate="2018-02-04T01:00:00.000" UserId="15" />
</comments>
"""
USERS = """<?xml version="1.0" encoding="utf-8"?>
<users>
  <row Id="14" CreationDate="2018-02-06T19:56:17.000" DisplayName="Ana" />
  <row Id="99" CreationDate="2018-02-01T00:00:00.000" DisplayName="Silent" />
</users>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "stackexchange-small"
    folder.mkdir()
    (folder / "Posts.xml").write_text(POSTS)
    (folder / "Comments.xml").write_text(COMMENTS)
    (folder / "Users.xml").write_text(USERS)
    (folder / "Votes.xml").write_text('<votes><row Id="1" PostId="1" VoteTypeId="2" /><row Id="2" /></votes>')
    return folder


def test_a_dump_is_surveyed(folder: Path) -> None:
    found = survey(Dump.at(folder))
    assert found.counts == {"questions": 1, "answers": 2, "comments": 2}
    assert found.posts == {"1", "2", "3"}
    assert found.skipped == {
        Skip.POST_WITHOUT_OWNER: 1,
        Skip.POST_OF_THE_SITE: 1,
        Skip.OTHER_TYPE: 1,
        Skip.COMMENT_WITHOUT_OWNER: 1,
        Skip.COMMENT_OF_THE_SITE: 1,
        Skip.COMMENT_ELSEWHERE: 1,
        Skip.VOTE: 2,
    }
    joins = [(author.person, author.joined_at.isoformat(), author.from_users) for author in found.authors.values()]
    assert joins == [
        ("se-small-15", "2018-02-04T01:00:00+00:00", False),  # a comment before the first post
        ("se-small-14", "2018-02-06T19:56:17+00:00", True),
        ("se-small-16", "2018-02-08T01:00:00+00:00", False),  # comments only
    ]
    assert found.last.isoformat() == "2018-02-08T01:00:00+00:00"


def test_of_a_dump_only_the_posts_are_needed(folder: Path) -> None:
    for table in ("Comments", "Users", "Votes"):
        (folder / f"{table}.xml").unlink()
    found = survey(Dump.at(folder))
    assert found.counts == {"questions": 1, "answers": 2}
    assert [author.from_users for author in found.authors.values()] == [False, False]
    assert list(comments(Dump.at(folder), found.posts)) == []


def test_comments_are_read_as_they_were_written(folder: Path) -> None:
    first, second = comments(Dump.at(folder), {"1", "2", "3"})
    assert (first.id, first.post, first.author) == ("1", "1", "se-small-16")
    assert first.body == {"body": "Why *not* <<both>>?", "occurred_at": "2018-02-08T01:00:00.000Z"}
    assert (second.id, second.post, second.author) == ("5", "3", "se-small-15")


def test_questions_and_answers_become_posts(folder: Path) -> None:
    first, second, third = posts(Dump.at(folder / "Posts.xml"))
    assert (first.id, first.author) == ("1", "se-small-14")
    assert first.body == {
        "kind": "question",
        "title": "Which tags?",
        "body": "One & all",
        "topics": ["tags", "on-topic"],
        "occurred_at": "2018-02-06T20:19:50.957Z",
    }
    assert (second.body["kind"], second.body["title"], second.body["topics"]) == ("text", None, [])
    assert third.id == "3"


@pytest.mark.parametrize(
    ("folder_name", "site"),
    [
        ("stackexchange-conlang-meta", "conlang-meta"),
        ("conlang.meta.stackexchange.com", "conlang.meta"),
        ("stackoverflow.com", "stackoverflow"),
        ("Mein Archiv", "mein-archiv"),
    ],
)
def test_a_site_is_named_after_its_folder(tmp_path: Path, folder_name: str, site: str) -> None:
    (tmp_path / folder_name).mkdir()
    (tmp_path / folder_name / "Posts.xml").write_text(POSTS)
    assert Dump.at(tmp_path / folder_name).site == site


def test_a_folder_without_posts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DumpRefused, match=r"no file .*Posts\.xml"):
        Dump.at(tmp_path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('<!DOCTYPE posts [<!ENTITY a "aaaa">]><posts><row Id="&a;"/></posts>', "document type"),
        ('<!DOCTYPE posts SYSTEM "file:///etc/passwd"><posts/>', "document type"),
        ("<posts><row Id=", "no XML"),
        ("<posts>", "no XML"),
        ("", "no XML"),
    ],
)
def test_what_is_no_dump_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "Posts.xml"
    path.write_text(text)
    with pytest.raises(DumpRefused, match=why):
        list(rows(path))


def test_a_row_without_a_time_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Posts.xml").write_text(
        '<posts><row Id="7" PostTypeId="1" OwnerUserId="1" CreationDate="soon"/></posts>'
    )
    with pytest.raises(DumpRefused, match="row 7 has no CreationDate"):
        survey(Dump.at(tmp_path, site="x"))


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p>\n\n<p>Two</p>", "One\n\nTwo"),
        ("a<br>b", "a\nb"),
        ("<ul>\n<li>one</li>\n<li><p>two</p></li>\n</ul>", "- one\n\n- two"),
        ('<a href="https://a.example/x">there</a>', "there (https://a.example/x)"),
        ('<a href="https://a.example/x">https://a.example/x</a>', "https://a.example/x"),
        ('<img src="https://a.example/p.png" alt="p">', "https://a.example/p.png"),
        ("<pre><code>if x:\n    y\n\n    z\n</code></pre>", "if x:\n    y\n\n    z"),
        ("1 &lt; 2 &amp; 3", "1 < 2 & 3"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_html_becomes_text(html: str, text: str) -> None:
    assert text_of(html) == text
