"""A Stack Exchange dump becomes a community: its authors join, its posts and then its comments are written.

The author who joined first founds the community, on that day; every author joins on the creation date of the account,
or, where Users.xml does not tell, on the date of the first post or comment.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import httpx
from tqdm import tqdm

from deploy.local.client import ORGANIZATION, Caller, Refused, board_path, commands, instant_text, log_in
from deploy.local.importing.loading import COMMUNITIES, Loading, community_named, each
from deploy.local.importing.stackexchange import Author, Comment, Dump, Post, Skip, Survey, comments, posts

_SOURCE = "stackexchange"


async def load(http: httpx.AsyncClient, dump: Dump, found: Survey, *, name: str, zone: str) -> Loading:
    """Load all of it, and wait until it is scored.

    Args:
        name: of the community.
        zone: in which its days are counted.
    """
    importer = await log_in(http, "importer", scope="import")
    community = await community_named(importer, name, dump.owns) or await _found(importer, dump, found, name, zone)
    loading = Loading(importer, _SOURCE, community["id"], community["owner"])
    await loading.launch()
    await _join(loading, found)
    ids = await _publish(loading, dump, found)
    await _comment(loading, dump, found, ids)
    print("Waiting for the scores …", flush=True)
    member = await log_in(http, loading.owner, seen=importer.seen)
    await member.get(board_path(loading.community, "activity"))
    return loading


async def _found(importer: Caller, dump: Dump, found: Survey, name: str, zone: str) -> Mapping[str, Any]:
    founder = next(iter(found.authors.values()))
    charter = {
        "name": name,
        "affinity": f"The questions and answers of {dump.site}.",
        "zone": zone,
        "currency": "USD",
        "occurred_at": instant_text(founder.joined_at),
    }
    source = hashlib.sha256(f"{dump.site}\n{name}".encode()).hexdigest()[:32]
    founded = await importer.acting_for(founder.person).post(COMMUNITIES, charter, key=f"{_SOURCE}:{source}")
    return dict(founded.json())


async def _join(loading: Loading, found: Survey) -> None:
    async def join(author: Author) -> None:
        await loading.join(author.person, author.joined_at, what="authors")

    with tqdm(total=len(found.authors), desc="authors ", unit="") as bar:
        await each(found.authors.values(), join, bar.update)


async def _publish(loading: Loading, dump: Dump, found: Survey) -> Mapping[str, str]:
    """Publish all posts; what each is called here, by its id in the source."""
    path = f"/content/v1/communities/{loading.community}/posts"
    ids: dict[str, str] = {}

    async def publish(post: Post) -> None:
        answer = await _write(loading, "posts", post, f"post:{post.id}", path)
        if answer is not None:
            ids[post.id] = answer.json()["id"]

    with tqdm(total=len(found.posts), desc="posts   ", unit="") as bar:
        await each(posts(dump), publish, bar.update)
    return ids


async def _comment(loading: Loading, dump: Dump, found: Survey, ids: Mapping[str, str]) -> None:
    async def comment(comment: Comment) -> None:
        if comment.post not in ids:
            loading.tally.refused[Skip.COMMENT_ELSEWHERE] += 1
            return
        path = f"/content/v1/posts/{ids[comment.post]}/comments"
        await _write(loading, "comments", comment, f"comment:{comment.id}", path)

    with tqdm(total=found.counts["comments"], desc="comments", unit="") as bar:
        await each(comments(dump, found.posts), comment, bar.update)


async def _write(loading: Loading, what: str, written: Post | Comment, key: str, path: str) -> httpx.Response | None:
    """Write as its author, as soon as content knows of the join; None if it was refused."""
    author = loading.importer.acting_for(written.author)
    try:
        answer = await author.post(
            path, written.body, key=loading.key(key), after=loading.joined.get(written.author, "")
        )
    except Refused as refused:
        loading.tally.said_no(what, refused)
        return None
    loading.tally.answered(what, answer.headers)
    return answer


def describe(loading: Loading, found: Survey, url: str) -> str:
    """The report for a person."""
    tally = loading.tally
    own = sum(author.from_users for author in found.authors.values())
    counts = found.counts
    lines = [
        f"\nCommunity {loading.community} of the organization {ORGANIZATION}",
        f"  authors  {len(found.authors):>7}   {own} joined on the account's date (Users.xml), "
        f"{len(found.authors) - own} on the date of the first post or comment",
        f"  posts    {len(found.posts):>7}   {counts['questions']} questions, {counts['answers']} answers",
        f"  comments {counts['comments']:>7}",
        *(
            f"  {word:<8} {answers['posts']:>7}   posts of {run} run, {answers['comments']} comments, "
            f"and {answers['authors']} authors"
            for word, answers, run in (("new", tally.new, "this"), ("known", tally.known, "an earlier"))
        ),
    ]
    lines += [f"  skipped  {count:>7}   {reason}" for reason, count in sorted((found.skipped + tally.refused).items())]
    activity = f"{board_path(loading.community, 'activity')}?day={found.last.date()}"  # today it may be next to nothing
    boards = [activity, board_path(loading.community, "points")]
    return "\n".join([*lines, "\nThe leaderboards, as one of the authors:", *commands(url, loading.owner, boards)])
