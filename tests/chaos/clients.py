"""Clients that join, write, buy and read, and repeat every request, with its key, until it is answered."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from shared.codes import ALPHABET, LENGTH
from tests.chaos.asking import READ, Asking
from tests.chaos.history import Acknowledged, History
from tests.chaos.scene import Made, Person, Scene

CLIENTS = 8
PAUSE_SECONDS = 0.04
REQUEST_SECONDS = 15
KINDS = ("like", "love", "thanks", "insightful")


class Clients(Asking):
    """Some clients in one event loop.

    Args:
        name: of the episode; stands in every marker and key.
    """

    def __init__(
        self, urls: Mapping[str, Sequence[str]], token: str, scene: Scene, history: History, *, name: str, seed: str
    ) -> None:
        super().__init__(urls, token, scene, history, seed=seed)
        self._name = name
        self._number = 0
        self._liked: set[str] = set()

    async def run(self, stopped: Callable[[], bool]) -> None:
        """Act until `stopped`; every request that was begun is brought to its answer."""
        limits = httpx.Limits(max_connections=2 * CLIENTS)
        async with (
            httpx.AsyncClient(timeout=REQUEST_SECONDS, limits=limits) as self._http,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(CLIENTS):
                group.create_task(self._act(stopped))

    async def found(self, members: int) -> None:
        """Found and launch a community, and let the first members join."""
        async with httpx.AsyncClient(timeout=REQUEST_SECONDS) as self._http:
            charter = {"name": "Early risers", "affinity": "We run.", "zone": "Asia/Shanghai", "currency": "CNY"}
            founded, _ = await self._send("POST", "membership", "/v1/communities", "owner", charter, key="found")
            self._scene.community = founded.json()["id"]
            launched, _ = await self._send("POST", "membership", f"{self._place}/launch", "owner", key="launch")
            self._scene.token = f"{founded.headers['consistency-token']},{launched.headers['consistency-token']}"
            owner = Person("owner", self._scene.token, None)
            self._scene.people.append(owner)
            await self._invite(owner)
            for _ in range(members):
                await self._join()

    async def _act(self, stopped: Callable[[], bool]) -> None:
        acts: Mapping[Callable[[], Any], int] = {
            self._join: 4,
            self._publish: 6,
            self._comment: 6,
            self._react: 4,
            self._share: 3,
            self._remove: 1,
            self._buy: 4,
            self._refund: 2,
        }
        while not stopped():
            (act,) = self._random.choices(list(acts), list(acts.values()))
            await act()
            await asyncio.sleep(PAUSE_SECONDS)

    # --- What they do ---

    async def _invite(self, person: Person) -> None:
        answer, _ = await self._send(
            "POST", "membership", f"{self._place}/invitations", person.name, {}, key=self._marker("invitation")
        )
        self._scene.invitations.append((answer.json()["code"], person))

    async def _join(self) -> None:
        """With an invitation, with the code of a share, often the newest, with a code that nobody has made, or with nothing."""
        marker = self._marker("join")
        name = f"person-{marker.removeprefix('join-')}"
        way = {"layer": "touchpoint", "channel": marker, "scene": "outdoor", "space": "physical"}
        body: dict[str, Any] = {"touchpoint": way}
        by: Person | None = None
        drawn = self._random.random()
        if drawn < 0.4 and self._scene.shares:
            share = self._scene.shares[-1] if drawn < 0.2 else self._random.choice(self._scene.shares)
            by, body["share_code"] = share.by, share.code
        elif drawn < 0.55:
            body["share_code"] = self._code_of_nobody()
        elif drawn < 0.85:
            body["invitation"], by = self._random.choice(self._scene.invitations)
        path = f"{self._place}/members"
        referrer = None if by is None else by.name
        chain = (referrer,) if referrer else ()
        joined = await self._command(
            "member-joined.v1", marker, "membership", path, name, body, after=self._scene.token, chain=chain
        )
        if joined is None:
            return
        person = Person(name, joined.headers["consistency-token"], referrer)
        self._scene.people.append(person)
        if self._random.random() < READ:
            posts = f"/v1/communities/{self._scene.community}/posts?limit=1"
            await self._read(marker, "content", posts, person.token, lambda body: "items" in body, acting=name)

    async def _publish(self) -> None:
        person, marker = self._somebody(), self._marker("post")
        path = f"/v1/communities/{self._scene.community}/posts"
        answer = await self._command(
            "post-published.v1", marker, "content", path, person.name, {"body": marker}, after=person.token
        )
        if answer is not None:
            self._scene.posts.append(Made(answer.json()["id"], person, answer.headers["consistency-token"]))

    async def _comment(self) -> None:
        if post := self._something(self._scene.posts):
            person, marker = self._somebody(), self._marker("comment")
            path = f"/v1/posts/{post.id}/comments"
            await self._command(
                "comment-added.v1",
                marker,
                "content",
                path,
                person.name,
                {"body": marker},
                after=person.token,
                may_be_gone=post,
            )

    async def _react(self) -> None:
        if post := self._something(self._scene.posts):
            person, kind = self._somebody(), self._random.choice(KINDS)
            marker = f"{person.name} {kind} {post.id}"
            if person.name != post.by.name and marker not in self._liked:
                self._liked.add(marker)
                path = f"/v1/posts/{post.id}/reactions"
                await self._command(
                    "reaction-added.v1",
                    marker,
                    "content",
                    path,
                    person.name,
                    {"kind": kind},
                    after=person.token,
                    may_be_gone=post,
                )

    async def _share(self) -> None:
        if post := self._something(self._scene.posts):
            person, marker = self._somebody(), self._marker("share")
            path = f"/v1/communities/{self._scene.community}/shares"
            body = {"target_kind": "post", "target": post.id, "channel": marker}
            answer = await self._command(
                "content-shared.v1", marker, "content", path, person.name, body, after=person.token, may_be_gone=post
            )
            if answer is not None:
                made = answer.json()
                self._scene.shares.append(
                    Made(made["id"], person, answer.headers["consistency-token"], code=made["code"])
                )

    async def _remove(self) -> None:
        if len(self._scene.posts) > 3:
            post = self._scene.posts.pop(self._random.randrange(len(self._scene.posts)))
            answer, attempts = await self._send(
                "DELETE", "content", f"/v1/posts/{post.id}", post.by.name, etag='"1"', after=post.token
            )
            # After a lost answer the repeat may find another version: that is the removal's acknowledgement, too.
            if answer.status_code == 204 or (answer.status_code == 412 and attempts > 1):
                token = answer.headers.get("consistency-token", "")
                self._history.acknowledged.append(
                    Acknowledged("post-removed.v1", post.id, post.by.name, "", None, token, attempts)
                )
            else:
                self._history.otherwise.append(f"answer: removing {post.id} got {answer.status_code}: {answer.text}")

    async def _buy(self) -> None:
        """Through a share, by the binding, or by somebody whom nobody knows."""
        marker, stranger = self._marker("order"), self._random.random() < 0.1
        buyer = Person(f"stranger-{marker}", self._scene.token, None) if stranger else self._somebody()
        share = self._something(self._scene.shares) if self._random.random() < 0.5 else None
        paid = self._random.randrange(1, 90_000)
        order: dict[str, Any] = {
            "community": self._scene.community,
            "order_id": marker,
            "buyer": buyer.name,
            "paid_minor": paid,
            "commissionable_minor": paid * 5 // 9,
            "currency": "CNY",
        }
        if share is not None:
            order["share_code"] = share.code
        elif self._random.random() < 0.2:
            order["share_code"] = self._code_of_nobody()
        answer = await self._command(
            "purchase-recorded.v1",
            marker,
            "campaigns",
            "/v1/purchases",
            None,
            order,
            after=self._scene.token,
            chain=self._chain(buyer, share),
        )
        if answer is not None:
            token = answer.headers["consistency-token"]
            self._scene.purchases.append(Made(answer.json()["id"], buyer, token, left=paid))

    async def _refund(self) -> None:
        if self._scene.purchases:
            bought = self._scene.purchases.pop(self._random.randrange(len(self._scene.purchases)))
            marker = self._marker("refund")
            amount = self._random.choice((bought.left, max(1, bought.left // 3)))
            path = f"/v1/purchases/{bought.id}/refunds"
            body = {"refund_id": marker, "amount_minor": amount}
            answer = await self._command("purchase-refunded.v1", marker, "campaigns", path, None, body)
            bought.left -= amount
            if answer is not None and bought.left:
                self._scene.purchases.append(bought)

    def _chain(self, buyer: Person, share: Made | None) -> tuple[str, ...]:
        """Whom a purchase is to be credited to, by the rules of docs/purchases.md: everything here was acknowledged before."""
        first = share.by.name if share is not None and share.by.name != buyer.name else buyer.referrer
        if first is None:
            return ()
        second = next(person.referrer for person in self._scene.people if person.name == first)
        return (first,) if second in (None, buyer.name, first) else (first, str(second))

    def _code_of_nobody(self) -> str:
        """A code that is not told from one that was made, and that nobody has heard of yet."""
        return "".join(self._random.choices(ALPHABET, k=LENGTH))

    def _marker(self, stem: str) -> str:
        self._number += 1
        return f"{stem}-{self._name}-{self._number}"

    def _somebody(self) -> Person:
        return self._random.choice(self._scene.people)

    def _something(self, made: list[Made]) -> Made | None:
        return self._random.choice(made) if made else None

    @property
    def _place(self) -> str:
        return f"/v1/communities/{self._scene.community}"
