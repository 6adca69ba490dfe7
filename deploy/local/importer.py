"""Load the posts of a Stack Exchange dump into the running system, over its public API: `make import DUMP=folder`.

The author who joined first founds the community, on that day; every author joins on the creation date of the account,
or, where Users.xml does not tell, on the date of the first post. Every request has a key made from the ids of the
source, and keys of imports never expire: a second run changes nothing, and one that was interrupted goes on.
"""

import argparse
import asyncio
import hashlib
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from deploy.local.client import (
    ORGANIZATION,
    Caller,
    Failed,
    Refused,
    board_path,
    commands,
    log_in,
    open_http,
    reach,
    running_url,
)
from deploy.local.processes import heed_interrupts
from deploy.local.stackexchange import Author, Dump, DumpRefused, Post, Survey, instant_text, posts, survey

IN_FLIGHT = 16

_COMMUNITIES = "/membership/v1/communities"
_CHANGED = "changed in the source since an earlier import; kept as it was"
_REUSED = "idempotency-key-reused"
_ABOUT_THE_POST = {403, 409, 422}

T = TypeVar("T")


@dataclass
class Report:
    """What an import did.

    Attributes:
        community: its id.
        owner: who founded it, and so may launch it and read its boards.
        survey: what the dump holds.
        new, known: answers that were made by this run, and by an earlier one, by what they are about.
        refused: posts that were not taken, by reason.
    """

    community: str
    owner: str
    survey: Survey
    new: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


def main(arguments: list[str] | None = None) -> int:
    """Import, print the report, return the exit code."""
    options = _parser().parse_args(arguments)
    heed_interrupts()
    if not options.dump:
        print("Name the dump: make import DUMP=<folder or Posts.xml> [COMMUNITY=<name>]", file=sys.stderr)
        return 2
    try:
        dump = Dump.at(Path(options.dump), options.site)
        url = running_url(options.url)
        print(f"Reading {dump.posts} …", flush=True)
        found = survey(dump)
        if not found.authors:
            raise DumpRefused(f"{dump.posts} holds no post that could be imported.")
        report = asyncio.run(_import(url, dump, found, options.community or dump.site, options.zone))
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on where this one stopped.", file=sys.stderr)
        return 130
    except (Failed, DumpRefused) as error:
        print(f"make import: {error}", file=sys.stderr)
        return 1
    print(describe(report, url))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make import", description="Load the posts of a Stack Exchange dump.")
    parser.add_argument("--dump", default=os.environ.get("DUMP"), help="folder with Posts.xml, or that file")
    parser.add_argument("--community", default=os.environ.get("COMMUNITY"), help="name; by default the site's")
    parser.add_argument("--site", help="names the site in person ids; by default from the folder's name")
    parser.add_argument("--zone", default="UTC", help="time zone in which the community's days are counted")
    parser.add_argument("--url", help="of the running system; by default the one that `make run` started here")
    return parser


async def _import(url: str, dump: Dump, found: Survey, name: str, zone: str) -> Report:
    async with open_http(url, connections=IN_FLIGHT) as http:
        await reach(http)
        importer = await log_in(http, "importer", scope="import")
        community = await _earlier(importer, dump, name) or await _found(importer, dump, found, name, zone)
        report = Report(community["id"], community["owner"], found)
        launch = importer.acting_for(report.owner).post
        await launch(f"{_COMMUNITIES}/{report.community}/launch", key=f"stackexchange:{report.community}:launch")
        tokens = await _join(importer, report)
        await _publish(importer, dump, report, tokens)
        member = await log_in(http, report.owner, seen=importer.seen)
        print("Waiting for the scores …", flush=True)
        await member.get(board_path(report.community, "activity"))
    return report


async def _earlier(importer: Caller, dump: Dump, name: str) -> Mapping[str, Any] | None:
    """The community that an earlier import of this site has founded, by whomever it held for the first author then."""
    for community in await importer.items(_COMMUNITIES):
        if community["name"] == name and dump.owns(community["owner"]):
            return community
    return None


async def _found(importer: Caller, dump: Dump, found: Survey, name: str, zone: str) -> Mapping[str, Any]:
    """Found the community, as the author who joined first."""
    founder = next(iter(found.authors.values()))
    charter = {
        "name": name,
        "affinity": f"The questions and answers of {dump.site}.",
        "zone": zone,
        "currency": "USD",
        "occurred_at": instant_text(founder.joined_at),
    }
    source = hashlib.sha256(f"{dump.site}\n{name}".encode()).hexdigest()[:32]
    founded = await importer.acting_for(founder.person).post(_COMMUNITIES, charter, key=f"stackexchange:{source}")
    return dict(founded.json())


async def _join(importer: Caller, report: Report) -> dict[str, str]:
    """Let every author join; the consistency token of each join, by person."""
    path = f"{_COMMUNITIES}/{report.community}/members"
    tokens: dict[str, str] = {}

    async def join(author: Author) -> None:
        body = {"occurred_at": instant_text(author.joined_at)}
        key = f"stackexchange:{report.community}:join"
        try:
            answer = await importer.acting_for(author.person).post(path, body, key=key, after="")
        except Refused as refused:
            if refused.reason != _REUSED:  # else: joined by an earlier import, on a date that the source gave then
                raise
            report.known["authors"] += 1
            return
        _count(report, "authors", answer.headers)
        tokens[author.person] = answer.headers.get("consistency-token", "")

    with tqdm(total=len(report.survey.authors), desc="authors", unit="") as bar:
        await each(report.survey.authors.values(), join, bar.update)
    return tokens


async def _publish(importer: Caller, dump: Dump, report: Report, tokens: dict[str, str]) -> None:
    path = f"/content/v1/communities/{report.community}/posts"

    async def publish(post: Post) -> None:
        key = f"stackexchange:{report.community}:post:{post.id}"
        try:
            answer = await importer.acting_for(post.author).post(
                path, post.body, key=key, after=tokens.get(post.author, "")
            )
        except Refused as refused:
            if refused.status not in _ABOUT_THE_POST:
                raise
            report.refused[_CHANGED if refused.reason == _REUSED else f"refused: {refused.reason}"] += 1
            return
        _count(report, "posts", answer.headers)

    with tqdm(total=report.survey.posts.total(), desc="posts  ", unit="") as bar:
        await each(posts(dump), publish, bar.update)


def _count(report: Report, what: str, headers: Mapping[str, str]) -> None:
    (report.known if "idempotency-replayed" in headers else report.new)[what] += 1


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]], done: Callable[[], object]) -> None:
    """Work on all items, a bounded number at a time; the first failure ends it."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)
            done()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(worker())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def describe(report: Report, url: str) -> str:
    """The report for a person."""
    found = report.survey
    own = sum(author.from_users for author in found.authors.values())
    lines = [
        f"\nCommunity {report.community} of the organization {ORGANIZATION}",
        f"  authors  {len(found.authors):>7}   {own} joined on the account's date (Users.xml), "
        f"{len(found.authors) - own} on the date of the first post",
        f"  posts    {found.posts.total():>7}   {found.posts['questions']} questions, {found.posts['answers']} answers",
        f"  new      {report.new['posts']:>7}   posts of this run, and {report.new['authors']} authors",
        f"  known    {report.known['posts']:>7}   posts of an earlier run, and {report.known['authors']} authors",
    ]
    lines += [f"  skipped  {count:>7}   {reason}" for reason, count in sorted((found.skipped + report.refused).items())]
    activity = f"{board_path(report.community, 'activity')}?day={found.last.date()}"  # today it may be next to nothing
    boards = [activity, board_path(report.community, "points")]
    return "\n".join([*lines, "\nThe leaderboards, as one of the authors:", *commands(url, report.owner, boards)])


if __name__ == "__main__":
    sys.exit(main())
