"""Read a Stack Exchange dump as a stream: rows of XML, what of them is a post or a comment, and whose it is."""

import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from xml.parsers import expat

from deploy.local.client import instant_text
from deploy.local.importing.markup import text_of

_KINDS = {"1": "question", "2": "text"}
_NAMES = {"1": "questions", "2": "answers"}
_SITE_ITSELF = "-1"
_CHUNK_BYTES = 1 << 20
_LONGEST_SITE = 40
_BEGINNING = datetime.min.replace(tzinfo=UTC)


class DumpRefused(Exception):
    """The files are not a dump that can be read; the message says where and why."""


class Skip(StrEnum):
    """Why a row is not imported."""

    OTHER_TYPE = "posts that are neither question nor answer"
    POST_WITHOUT_OWNER = "posts without a known owner"
    POST_OF_THE_SITE = "posts by user -1, the site itself"
    COMMENT_WITHOUT_OWNER = "comments without a known owner"
    COMMENT_OF_THE_SITE = "comments by user -1, the site itself"
    COMMENT_ELSEWHERE = "comments on a post that was not imported"
    VOTE = "votes; the dump does not say who voted"


@dataclass(frozen=True)
class Dump:
    """Where a dump is.

    Attributes:
        posts: Posts.xml.
        comments, votes, users: the other files beside it; None where there is none.
        site: names the site in person ids and keys.
    """

    posts: Path
    comments: Path | None
    votes: Path | None
    users: Path | None
    site: str

    @classmethod
    def at(cls, place: Path, site: str | None = None) -> "Dump":
        """The dump in a folder, or with this Posts.xml.

        Args:
            site: by default the folder's name, without `stackexchange-` before or `.stackexchange.com` behind it.

        Raises:
            DumpRefused: there is no Posts.xml.
        """
        posts = place / "Posts.xml" if place.is_dir() else place
        if not posts.is_file():
            raise DumpRefused(f"There is no file {posts}. DUMP names a folder with Posts.xml, or that file.")
        folder = posts.resolve().parent
        name = site or folder.name.removeprefix("stackexchange-").removesuffix(".com").removesuffix(".stackexchange")
        comments, votes, users = (
            file if (file := folder / f"{table}.xml").is_file() else None for table in ("Comments", "Votes", "Users")
        )
        return cls(posts, comments, votes, users, _plain(name))

    def person(self, user: str) -> str:
        """The person id of a user of the site."""
        return f"se-{self.site}-{user}"

    def owns(self, person: str) -> bool:
        """Whether that is the person id of a user of the site."""
        return person.startswith(self.person("")) and person.removeprefix(self.person("")).isdecimal()


def _plain(name: str) -> str:
    site = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")[:_LONGEST_SITE]
    if not site:
        raise DumpRefused(f"{name!r} does not name a site. Give one: --site conlang-meta")
    return site


@dataclass(frozen=True)
class Author:
    """Somebody who wrote.

    Attributes:
        joined_at: the account's creation date, or the date of the first post or comment.
        from_users: it is the former.
    """

    person: str
    joined_at: datetime
    from_users: bool


@dataclass(frozen=True)
class Post:
    """A question or an answer.

    Attributes:
        id: within the site.
        author: person id.
        body: as the API takes it.
    """

    id: str
    author: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Comment:
    """A comment on a post.

    Attributes:
        id: within the site.
        post: what it is on; an id within the site, too.
        author: person id.
        body: as the API takes it.
    """

    id: str
    post: str
    author: str
    body: Mapping[str, Any]


@dataclass
class Survey:
    """What a dump holds.

    Attributes:
        authors: by person id, the earliest first.
        posts: ids of the posts that are to be imported, within the site.
        counts: how many questions, answers and comments are to be imported.
        skipped: how many rows are not, and why.
        last: when the last of them was written.
    """

    authors: dict[str, Author] = field(default_factory=dict)
    posts: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    skipped: Counter[Skip] = field(default_factory=Counter)
    last: datetime = _BEGINNING


def survey(dump: Dump) -> Survey:
    """Read the whole dump once.

    Raises:
        DumpRefused: it cannot be read.
    """
    found = Survey()
    first_written: dict[str, datetime] = {}

    def wrote(user: str, written_at: datetime) -> None:
        first_written[user] = min(written_at, first_written.get(user, written_at))
        found.last = max(found.last, written_at)

    for row in rows(dump.posts):
        if (reason := _skip_post(row)) is not None:
            found.skipped[reason] += 1
            continue
        found.posts.add(row["Id"])
        found.counts[_NAMES[row["PostTypeId"]]] += 1
        wrote(row["OwnerUserId"], _instant(row, dump.posts))
    for path, row in _rows_of(dump.comments):
        if (reason := _skip_comment(row, found.posts)) is not None:
            found.skipped[reason] += 1
            continue
        found.counts["comments"] += 1
        wrote(row["UserId"], _instant(row, path))
    for _ in _rows_of(dump.votes):
        found.skipped[Skip.VOTE] += 1
    created = {row["Id"]: _instant(row, path) for path, row in _rows_of(dump.users) if row.get("Id") in first_written}
    authors = [
        Author(dump.person(user), created.get(user, written_at), user in created)
        for user, written_at in first_written.items()
    ]
    authors.sort(key=lambda author: (author.joined_at, author.person))
    found.authors = {author.person: author for author in authors}
    return found


def posts(dump: Dump) -> Iterator[Post]:
    """The posts that are to be imported, in the order of the file."""
    for row in rows(dump.posts):
        if _skip_post(row) is None:
            body = {
                "kind": _KINDS[row["PostTypeId"]],
                "title": row.get("Title"),
                "body": text_of(row.get("Body", "")),
                "topics": re.findall(r"[^<>|]+", row.get("Tags", "")),
                "occurred_at": instant_text(_instant(row, dump.posts)),
            }
            yield Post(row["Id"], dump.person(row["OwnerUserId"]), body)


def comments(dump: Dump, imported: Container[str]) -> Iterator[Comment]:
    """The comments that are to be imported, in the order of the file. Their text is no HTML, and kept as it is.

    Args:
        imported: ids of the posts that are.
    """
    for path, row in _rows_of(dump.comments):
        if _skip_comment(row, imported) is None:
            body = {"body": row.get("Text", ""), "occurred_at": instant_text(_instant(row, path))}
            yield Comment(row["Id"], row["PostId"], dump.person(row["UserId"]), body)


def rows(path: Path) -> Iterator[dict[str, str]]:
    """The attributes of every `row` element. Only what is being read is held in memory.

    Raises:
        DumpRefused: the file is no XML, or declares a document type: a dump never does, and entities could be traps.
    """
    parser = expat.ParserCreate()
    read: list[dict[str, str]] = []

    def started(name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            read.append(attributes)

    def doctype(*_: Any) -> None:
        raise DumpRefused(f"{path} declares a document type; a dump has none.")

    parser.StartElementHandler = started
    parser.StartDoctypeDeclHandler = doctype
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                parser.Parse(chunk)
                yield from read
                read.clear()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise DumpRefused(f"{path} is no XML: {error}") from error


def _rows_of(path: Path | None) -> Iterator[tuple[Path, dict[str, str]]]:
    """The rows of a file that may be missing, each with the file."""
    if path is not None:
        for row in rows(path):
            yield path, row


def _skip_post(row: Mapping[str, str]) -> Skip | None:
    if row.get("PostTypeId") not in _KINDS:
        return Skip.OTHER_TYPE
    if not row.get("OwnerUserId"):
        return Skip.POST_WITHOUT_OWNER
    return Skip.POST_OF_THE_SITE if row["OwnerUserId"] == _SITE_ITSELF else None


def _skip_comment(row: Mapping[str, str], posts: Container[str]) -> Skip | None:
    if not row.get("UserId"):
        return Skip.COMMENT_WITHOUT_OWNER
    if row["UserId"] == _SITE_ITSELF:
        return Skip.COMMENT_OF_THE_SITE
    return None if row.get("PostId") in posts else Skip.COMMENT_ELSEWHERE


def _instant(row: Mapping[str, str], path: Path) -> datetime:
    """Times of a dump are UTC and say nothing about it."""
    try:
        return datetime.fromisoformat(row["CreationDate"]).replace(tzinfo=UTC)
    except (KeyError, ValueError):
        raise DumpRefused(f"{path}: row {row.get('Id', '?')} has no CreationDate that is a time.") from None
