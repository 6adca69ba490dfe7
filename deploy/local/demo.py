"""Play the story of this release beside a running `make run`, over the public HTTP API alone: `make demo`.

A community is founded and launched, twenty people are in it and write, one of them above the daily cap; a post is
edited, two are removed, somebody leaves and returns. Then the leaderboards are printed, and one member's points with
the entries that they are the sum of. Every play founds a community of its own.
"""

import argparse
import asyncio
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from tqdm import tqdm

from deploy.local.client import Caller, Failed, Seen, board_path, commands, log_in, open_http, reach, running_url
from deploy.local.processes import heed_interrupts

OWNER = "lin"
CAPPED = "mei"
"""Writes more than counts on a day, and removes one of the posts again: her points are explained."""

POSTS = {
    "mei": 7, "jun": 6, "tao": 5, "lin": 4, "yan": 4, "bo": 3, "hui": 3, "kai": 2, "lei": 2, "min": 2, "ning": 2,
    "ping": 2, "qi": 1, "rui": 1, "shan": 1, "ting": 1, "wei": 1, "xia": 0, "yu": 0, "zhen": 0,
}  # fmt: skip
"""Everybody in the story, with how many posts each publishes."""

EDITS, REMOVES, LEAVES = "hui", ("mei", "yan"), "ping"

_CHARTER = {
    "name": "Early risers",
    "affinity": "We run before work.",
    "zone": "Asia/Shanghai",
    "currency": "CNY",
    "capacity": 200,
    "tags": ["sport"],
}
_AT_ONCE = 8
_STEPS = 2 + len(POSTS) - 1 + sum(POSTS.values()) + 1 + len(REMOVES) + 2


@dataclass
class Play:
    """One play, and what came of it.

    Attributes:
        people: the callers, by person.
        posts: answers to what each person published.
        boards: items of the leaderboards, by metric.
        entries: of `CAPPED` in this community, oldest first.
        balance: points of `CAPPED` over all communities of the organization.
    """

    http: httpx.AsyncClient
    bar: Any
    seen: Seen = field(default_factory=Seen)
    community: str = ""
    people: dict[str, Caller] = field(default_factory=dict)
    posts: dict[str, list[httpx.Response]] = field(default_factory=dict)
    boards: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)
    balance: int = 0

    async def run(self) -> None:
        """Play the whole story."""
        self.people = {person: await log_in(self.http, person, seen=self.seen) for person in POSTS}
        await self._found()
        await self._together([self._join(person) for person in POSTS if person != OWNER])
        await self._together([self._publish(person, count) for person, count in POSTS.items()])
        await self._together(
            [self._edit(EDITS), *(self._remove(person) for person in REMOVES), self._leave_and_return()]
        )
        self.bar.set_description("reading", refresh=False)
        await self._read()

    async def _found(self) -> None:
        self.bar.set_description("founding", refresh=False)
        owner = self.people[OWNER]
        founded = await owner.post("/membership/v1/communities", _CHARTER, key=_key())
        self.community = founded.json()["id"]
        self.bar.update()
        await owner.post(f"{self._members_of}/launch", key=_key())
        self.bar.update()

    async def _join(self, person: str) -> None:
        self.bar.set_description("joining", refresh=False)
        await self.people[person].post(f"{self._members_of}/members", key=_key())
        self.bar.update()

    async def _publish(self, person: str, count: int) -> None:
        self.bar.set_description("publishing", refresh=False)
        answers = self.posts[person] = []
        for number in range(1, count + 1):
            body = {
                "title": f"Morning {number}",
                "body": f"{person} ran {3 + number} km before work.",
                "topics": ["run"],
            }
            path = f"/content/v1/communities/{self.community}/posts"
            answers.append(await self.people[person].post(path, body, key=_key()))
            self.bar.update()

    async def _edit(self, person: str) -> None:
        self.bar.set_description("changing minds", refresh=False)
        post = self.posts[person][0]
        change = {"body": f"{post.json()['body']} Twice."}
        await self.people[person].patch(post.headers["location"], change, etag=post.headers["etag"])
        self.bar.update()

    async def _remove(self, person: str) -> None:
        post = self.posts[person][0]
        await self.people[person].delete(post.headers["location"], etag=post.headers["etag"])
        self.bar.update()

    async def _leave_and_return(self) -> None:
        caller = self.people[LEAVES]
        for act in ("members/me/leave", "members"):
            await caller.post(f"{self._members_of}/{act}", key=_key())
            self.bar.update()

    async def _read(self) -> None:
        """Reads wait for all that was done: every request carries the consistency tokens of the answers before."""
        reader = self.people[CAPPED]
        for metric in ("activity", "points"):
            self.boards[metric] = await reader.items(board_path(self.community, metric))
        entries = await reader.items(f"/scoring/v1/people/{CAPPED}/entries?community={self.community}")
        self.entries = entries[::-1]
        self.balance = (await reader.get(f"/scoring/v1/people/{CAPPED}/points")).json()["balance"]

    async def _together(self, acts: Sequence[Any]) -> None:
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def one(act: Any) -> None:
            async with at_once:
                await act

        await asyncio.gather(*map(one, acts))

    @property
    def _members_of(self) -> str:
        return f"/membership/v1/communities/{self.community}"


def main(arguments: list[str] | None = None) -> int:
    """Play, print what came of it, return the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description="Play a story on the running system.")
    parser.add_argument("--url", help="of the running system; by default the one that `make run` started here")
    options = parser.parse_args(arguments)
    heed_interrupts()
    try:
        url = running_url(options.url)
        play = asyncio.run(_play(url))
    except KeyboardInterrupt:
        print(
            "\nInterrupted. What was played so far stays; the next play founds a community of its own.", file=sys.stderr
        )
        return 130
    except Failed as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    print(describe(play, url))
    return 0


async def _play(url: str) -> Play:
    async with open_http(url, connections=_AT_ONCE) as http:
        await reach(http)
        with tqdm(total=_STEPS, unit="", bar_format="{desc:<15}{percentage:3.0f}% |{bar}| {n}/{total} acts") as bar:
            play = Play(http, bar)
            await play.run()
            bar.set_description("played")
        return play


def _key() -> str:
    return str(uuid.uuid4())


def describe(play: Play, url: str) -> str:
    """Tables and links for a person."""
    entries = f"/scoring/v1/people/me/entries?community={play.community}"
    effects = f"/scoring/v1/events/{play.entries[-1]['event_id']}/effects"
    mine = f"{board_path(play.community, 'points')}/me"
    links = commands(url, CAPPED, [board_path(play.community, "activity"), mine, entries, effects])
    return "\n".join(
        [
            f"\nCommunity {play.community}, founded by {OWNER}\n",
            *_boards(play),
            f"\n{CAPPED}'s points, entry by entry\n",
            *_explained(play),
            f"\nRead on as {CAPPED}:",
            *links,
            f"API pages: {', '.join(f'{url}/{name}/docs' for name in ('membership', 'content', 'scoring'))}",
        ]
    )


def _boards(play: Play) -> list[str]:
    """Both leaderboards, side by side."""
    lines = [f"  {'rank':>4}  {'person':<8} {'activity':>8}     {'rank':>4}  {'person':<8} {'points':>8}"]
    points = [f"{item['rank']:>4}  {item['person']:<8} {item['value']:>8}" for item in play.boards["points"]]
    for number, item in enumerate(play.boards["activity"]):
        beside = points[number] if number < len(points) else ""
        lines.append(f"  {item['rank']:>4}  {item['person']:<8} {item['value']:>8.2f}     {beside}".rstrip())
    return lines


def _explained(play: Play) -> list[str]:
    lines = [f"  {'wanted':>6}  {'given':>6}  {'why less':<10}  {'fact':<27}  event"]
    for entry in play.entries:
        numbers = f"{entry['points_wanted']:>+6}  {entry['points_given']:>+6}  {entry['reason'] or '':<10}"
        lines.append(f"  {numbers}  {entry['type']:<27}  {entry['event_id']}")
    total = sum(entry["points_given"] for entry in play.entries)
    lines.append(
        f"  {'':>6}  {total:>6}  points in this community; {play.balance} in all communities of the organization"
    )
    return lines


if __name__ == "__main__":
    sys.exit(main())
