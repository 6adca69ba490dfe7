"""The story that `make demo` plays: everything a small community does, over the public HTTP API alone.

Whoever is brought by somebody is brought by the same person in every play: a binding is for good.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from deploy.local.client import Caller, Seen, board_path, instant_text, log_in

OWNER, STAR, ADMIN = "lin", "mei", "jun"
"""Who founds; whom the numbers are shown of: writes above the daily cap, and brings people who buy; who keeps order."""

INVITED = (STAR, ADMIN, "tao", "bo", "hui")
"""Brought by the owner."""

FOLLOWING = ("kai", "yan")
"""Brought by the star: through a short link."""

COMING = ("ping", "rui")
"""Brought by nobody."""

PEOPLE = (OWNER, *INVITED, *FOLLOWING, *COMING)
METRICS = ("activity", "points", "commission")
ACTS = 56
"""How many requests a play makes that change something, or open a link."""

AT_ONCE = 8
_LOOK_SECONDS = 0.2
_LONG_AGO = timedelta(days=20)

_CHARTER = {
    "name": "Early risers",
    "affinity": "We run before work.",
    "zone": "Asia/Shanghai",
    "currency": "CNY",
    "capacity": 200,
    "tags": ["sport"],
    "landing_url": "https://early-risers.example/join",
}
_PICTURE = "https://early-risers.example/river.jpg"
_POSTS: Mapping[str, list[dict[str, Any]]] = {
    "lin": [{"kind": "announcement", "body": "We meet at six, by the river."}],
    "mei": [
        {"kind": "review", "title": "Three pairs later", "body": "Light, and dry after rain.", "rating": 5},
        {"kind": "question", "body": "Who runs tomorrow?"},
        {"kind": "image", "body": "The river at six.", "media": [_PICTURE]},
        {"kind": "video", "body": "The last hill.", "media": ["https://early-risers.example/hill.mp4"]},
        {"kind": "link", "body": "Read this.", "media": ["https://early-risers.example/why-mornings"]},
        {"kind": "text", "body": "Ten kilometres.", "topics": ["run"]},
        {"kind": "text", "body": "Eleven kilometres.", "topics": ["run"]},
    ],
    "jun": [{"body": "Bring a lamp."}, {"kind": "question", "body": "Rain or not?"}],
    "tao": [{"kind": "review", "body": "The left one rubs.", "rating": 2}],
    "bo": [{"kind": "link", "body": "Win a phone!", "media": ["https://phones.example/win"]}],
    "hui": [{"kind": "image", "body": "My dog runs, too.", "media": [_PICTURE]}],
}


@dataclass
class Play:
    """One play, and what came of it.

    Attributes:
        bar: of progress; counts acts.
        people: the callers, by person.
        shop: may record purchases, also of earlier times.
        posts: answers to what each person published.
        invitation: of the owner, as answered.
        share: of the star, as answered, and at the end as read: with what came of it.
        orders: purchases as answered, by a name that is short enough for a story.
        boards: items of the leaderboards, by metric.
        entries: of the star in this community, oldest first.
        balance: points of the star over all communities of the organization.
        commission: of the star in this community.
        ledger: its entries, oldest first.
    """

    http: httpx.AsyncClient
    bar: Any
    seen: Seen = field(default_factory=Seen)
    community: str = ""
    people: dict[str, Caller] = field(default_factory=dict)
    shop: Caller = field(init=False)
    posts: dict[str, list[httpx.Response]] = field(default_factory=dict)
    invitation: dict[str, Any] = field(default_factory=dict)
    share: dict[str, Any] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    boards: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)
    balance: int = 0
    commission: dict[str, Any] = field(default_factory=dict)
    ledger: list[dict[str, Any]] = field(default_factory=list)

    async def run(self) -> None:
        """Play the whole story."""
        self.people = {person: await log_in(self.http, person, seen=self.seen) for person in PEOPLE}
        self.shop = await log_in(self.http, "shop", scope="purchases:write import", seen=self.seen)
        for scene, play in (
            ("founding", self._found),
            ("joining", self._join),
            ("publishing", self._publish),
            ("sharing", self._share),
            ("talking", self._talk),
            ("changing minds", self._change),
            ("buying", self._buy),
            ("refunding", self._refund),
            ("reading", self._read),
        ):
            self.bar.set_description(scene, refresh=False)
            await play()

    # --- The scenes, in order ---

    async def _found(self) -> None:
        founded = await self._post(OWNER, "/membership/v1/communities", _CHARTER)
        self.community = founded.json()["id"]
        await self._post(OWNER, f"{self._members_of}/launch")

    async def _join(self) -> None:
        """With an invitation that is good for exactly those who are invited, or with nothing."""
        made = await self._post(OWNER, f"{self._members_of}/invitations", {"max_uses": len(INVITED)})
        self.invitation = made.json()
        flyer = {"layer": "touchpoint", "channel": "flyer", "scene": "outdoor", "space": "physical"}
        how = {"invitation": self.invitation["code"], "touchpoint": flyer}
        await _together(
            *(self._post(person, f"{self._members_of}/members", how) for person in INVITED),
            *(self._post(person, f"{self._members_of}/members", {}) for person in COMING),
        )
        await self._post(OWNER, f"{self._members_of}/members/{ADMIN}/roles", {"role": "admin"})

    async def _publish(self) -> None:
        async def publish(author: str, bodies: Iterable[dict[str, Any]]) -> None:
            path = f"/content/v1/communities/{self.community}/posts"
            self.posts[author] = [await self._post(author, path, body) for body in bodies]

        await _together(*(publish(author, bodies) for author, bodies in _POSTS.items()))

    async def _share(self) -> None:
        """The star shares a review; two people open the link, join with its code, and one of them shares it, too."""
        review = {"target_kind": "post", "target": self._post_of(STAR).json()["id"]}
        shares = f"/content/v1/communities/{self.community}/shares"
        shared = await self._post(STAR, shares, {**review, "channel": "wechat-moments"})
        self.share = shared.json()
        code = self.share["code"]
        await _together(*(self._open(person, f"/s/{code}") for person in FOLLOWING))
        how = {"share_code": code}
        await _together(*(self._post(person, f"{self._members_of}/members", how) for person in FOLLOWING))
        await self._post(FOLLOWING[0], shares, {**review, "channel": "sms"})

    async def _talk(self) -> None:
        """Comments, a reply, reactions; one comment is removed, one reaction withdrawn, one is to something of one's own."""
        question = f"/content/v1/posts/{self._post_of(STAR, 1).json()['id']}"
        first = await self._post("jun", f"{question}/comments", {"body": "I do."})
        await self._post(STAR, f"{question}/comments", {"body": "At six?", "parent": first.json()["id"]})
        wrong = await self._post("tao", f"{question}/comments", {"body": "Wrong group."})
        await self._post("hui", f"{question}/comments", {"body": "So do I."})
        await self._delete("tao", wrong)
        liked = (("jun", "like"), ("tao", "love"), ("bo", "like"), ("hui", "insightful"), (STAR, "like"))
        await _together(*(self._post(person, f"{question}/reactions", {"kind": kind}) for person, kind in liked))
        await self._post(OWNER, f"{first.headers['location']}/reactions", {"kind": "thanks"})
        await self.people["bo"].delete(f"{question}/reactions/like")
        self.bar.update()

    async def _change(self) -> None:
        """An edit, a removal, a removal taken back, an advertisement hidden by the admin; somebody leaves and returns."""
        dog = self._post_of("hui")
        await self.people["hui"].patch(dog.headers["location"], {"title": "Wau"}, etag=dog.headers["etag"])
        self.bar.update()
        await self._delete(STAR, self._post_of(STAR, 6))
        await self._delete("tao", self._post_of("tao"))
        await self._post("tao", f"{self._post_of('tao').headers['location']}/restore")
        await self._post(ADMIN, f"{self._post_of('bo').headers['location']}/hide")
        await self._post("rui", f"{self._members_of}/members/me/leave")
        await self._post("rui", f"{self._members_of}/members", {})

    async def _buy(self) -> None:
        """Through the share code, by the binding, by it long ago, from who was brought by the owner, and with the own code."""
        code = self.share["code"]
        await _together(
            self._order("code", "yan", 59_900, commissionable_minor=50_000, share_code=code),
            self._order("bound", "kai", 8_880),
            self._order("long ago", "kai", 25_600, occurred_at=instant_text(datetime.now(UTC) - _LONG_AGO)),
            self._order("returned", "hui", 12_800),
            self._order("own code", STAR, 3_000, share_code=code),
        )
        await _together(*(self._attributed(name) for name in self.orders))

    async def _refund(self) -> None:
        """One purchase in part, one in whole."""
        for name, amount in (("code", 19_900), ("returned", 12_800)):
            path = f"/campaigns/v1/purchases/{self.orders[name]['id']}/refunds"
            await self.shop.post(path, {"refund_id": "1", "amount_minor": amount}, key=_key())
            self.bar.update()

    async def _read(self) -> None:
        """Reads wait for all that was done: every request carries the consistency tokens of the answers before."""
        star = self.people[STAR]
        for metric in METRICS:
            self.boards[metric] = await star.items(board_path(self.community, metric))
        self.entries = (await star.items(f"/scoring/v1/people/me/entries?community={self.community}"))[::-1]
        self.balance = (await star.get("/scoring/v1/people/me/points")).json()["balance"]
        earned = (await star.get("/scoring/v1/people/me/commission")).json()["communities"]
        (self.commission,) = (one for one in earned if one["community"] == self.community)
        ledger = f"/scoring/v1/people/me/commission/entries?community={self.community}"
        self.ledger = (await star.items(ledger))[::-1]
        self.share = (await star.get(f"/content/v1/shares/{self.share['code']}")).json()

    # --- What they are made of ---

    async def _post(self, person: str, path: str, body: Any = None) -> httpx.Response:
        answer = await self.people[person].post(path, body, key=_key())
        self.bar.update()
        return answer

    async def _delete(self, person: str, made: httpx.Response) -> None:
        """Remove what was made by a request, as it was then."""
        await self.people[person].delete(made.headers["location"], etag=made.headers["etag"])
        self.bar.update()

    async def _open(self, person: str, link: str) -> None:
        """Open a short link, and follow it nowhere."""
        await self.people[person].get(link)
        self.bar.update()

    async def _order(self, name: str, buyer: str, paid_minor: int, **more: Any) -> None:
        order = {
            "community": self.community,
            "order_id": f"{self.community[-6:]}-{name.replace(' ', '-')}",
            "buyer": buyer,
            "paid_minor": paid_minor,
            "currency": _CHARTER["currency"],
            **more,
        }
        self.orders[name] = (await self.shop.post("/campaigns/v1/purchases", order, key=_key())).json()
        self.bar.update()

    async def _attributed(self, name: str) -> None:
        """Wait for the chain of an order. The answer that shows it carries its consistency token."""
        path = f"/campaigns/v1/purchases/{self.orders[name]['id']}"
        while True:
            self.orders[name] = (await self.shop.get(path)).json()
            if self.orders[name]["attribution"] == "attributed":
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def _post_of(self, author: str, number: int = 0) -> httpx.Response:
        return self.posts[author][number]

    @property
    def _members_of(self) -> str:
        return f"/membership/v1/communities/{self.community}"


async def _together(*acts: Awaitable[Any]) -> None:
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one(act: Awaitable[Any]) -> None:
        async with at_once:
            await act

    await asyncio.gather(*map(one, acts))


def _key() -> str:
    return str(uuid.uuid4())
