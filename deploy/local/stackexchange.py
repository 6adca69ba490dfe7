"""Read a Stack Exchange dump as a stream: rows of XML, what of them is a post, whose it is, and its text."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.parsers import expat

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

    NO_OWNER = "without a known owner"
    SITE_ITSELF = "by user -1, the site itself"
    OTHER_TYPE = "neither question nor answer"


@dataclass(frozen=True)
class Dump:
    """Where a dump is.

    Attributes:
        posts: Posts.xml.
        users: Users.xml beside it; None if there is none.
        site: names the site in person ids and keys.
    """

    posts: Path
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
        users = folder / "Users.xml"
        return cls(posts, users if users.is_file() else None, _plain(name))

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
        joined_at: the account's creation date, or the date of the first post.
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


@dataclass
class Survey:
    """What a dump holds.

    Attributes:
        authors: by person id, the earliest first.
        posts: how many questions and answers are to be imported.
        skipped: how many are not, and why.
        last: when the last of them was written.
    """

    authors: dict[str, Author] = field(default_factory=dict)
    posts: Counter[str] = field(default_factory=Counter)
    skipped: Counter[Skip] = field(default_factory=Counter)
    last: datetime = _BEGINNING


def survey(dump: Dump) -> Survey:
    """Read the whole dump once.

    Raises:
        DumpRefused: it cannot be read.
    """
    found = Survey()
    first_posts: dict[str, datetime] = {}
    for row in rows(dump.posts):
        reason = _skip(row)
        if reason is not None:
            found.skipped[reason] += 1
            continue
        found.posts[_NAMES[row["PostTypeId"]]] += 1
        owner, written_at = row["OwnerUserId"], _instant(row, dump.posts)
        first_posts[owner] = min(written_at, first_posts.get(owner, written_at))
        found.last = max(found.last, written_at)
    created: dict[str, datetime] = {}
    if dump.users is not None:
        for row in rows(dump.users):
            if row.get("Id") in first_posts:
                created[row["Id"]] = _instant(row, dump.users)
    authors = [
        Author(dump.person(owner), created.get(owner, written_at), owner in created)
        for owner, written_at in first_posts.items()
    ]
    authors.sort(key=lambda author: (author.joined_at, author.person))
    found.authors = {author.person: author for author in authors}
    return found


def posts(dump: Dump) -> Iterator[Post]:
    """The posts that are to be imported, in the order of the file."""
    for row in rows(dump.posts):
        if _skip(row) is None:
            body = {
                "kind": _KINDS[row["PostTypeId"]],
                "title": row.get("Title"),
                "body": text_of(row.get("Body", "")),
                "topics": re.findall(r"[^<>|]+", row.get("Tags", "")),
                "occurred_at": instant_text(_instant(row, dump.posts)),
            }
            yield Post(row["Id"], dump.person(row["OwnerUserId"]), body)


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


def instant_text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _skip(row: Mapping[str, str]) -> Skip | None:
    if row.get("PostTypeId") not in _KINDS:
        return Skip.OTHER_TYPE
    if not row.get("OwnerUserId"):
        return Skip.NO_OWNER
    return Skip.SITE_ITSELF if row["OwnerUserId"] == _SITE_ITSELF else None


def _instant(row: Mapping[str, str], path: Path) -> datetime:
    """Times of a dump are UTC and say nothing about it."""
    try:
        return datetime.fromisoformat(row["CreationDate"]).replace(tzinfo=UTC)
    except (KeyError, ValueError):
        raise DumpRefused(f"{path}: row {row.get('Id', '?')} has no CreationDate that is a time.") from None


_BLOCKS = frozenset(
    {"p", "pre", "blockquote", "ul", "ol", "table", "tr", "hr", *(f"h{level}" for level in range(1, 7))}
)


class _Text(HTMLParser):
    """Collects what a person would read, links and pictures as their addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._links: list[tuple[str, int]] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag in _BLOCKS:
            self.parts.append("\n\n")
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag == "img":
            self.parts.append(attributes.get("src") or "")
        elif tag == "a":
            self._links.append((attributes.get("href") or "", len(self.parts)))

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._links:
            address, start = self._links.pop()
            if address and address not in "".join(self.parts[start:]):
                self.parts.append(f" ({address})")


def text_of(html: str) -> str:
    """HTML as plain text."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    text = re.sub(r"\n- \s+", "\n- ", "".join(parser.parts))
    return re.sub(r"\n(?:[ \t\r]*\n)+", "\n\n", text).strip()
