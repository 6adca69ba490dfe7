"""A mixed load over HTTP: everything that members, shops and readers do, drawn at random, at a rate or as fast as it goes."""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from tests.soak.town import CURRENCY, ORGANIZATION, Community, Person, Reaction
from tests.support.roles import Authority
from tests.support.wire import Reply, Wire, request

CONNECTIONS = 8
"""To each service."""
WAITING = 500
"""Most requests under way; more are not sent before some are answered."""
PATIENCE_SECONDS = 30.0
_KINDS = ("like", "love", "thanks")
_PAID_MINOR = 12_800
_CHARTER = {"affinity": "We run before work.", "zone": "Asia/Shanghai", "currency": CURRENCY}


class Failed(Exception):
    """An answer that nobody wanted."""


class Service:
    """One service, through some connections, which are opened anew where the server has closed them."""

    def __init__(self, url: str, connections: int = CONNECTIONS) -> None:
        address = urlsplit(url)
        assert address.port is not None
        self._port, self._prefix = address.port, address.path
        self._free: asyncio.Queue[Wire | None] = asyncio.Queue()
        for _ in range(connections):
            self._free.put_nowait(None)

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: Any = None) -> Reply:
        """The answer.

        Raises:
            Failed: it is none of success.
        """
        content = b"" if body is None else json.dumps(body).encode()
        sent = {**headers, "Idempotency-Key": str(uuid4())} if method == "POST" else headers
        target = path if path.startswith("/s/") else self._prefix + path
        bytes_ = request(method, target, sent, content)
        wire = await self._free.get()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                if wire is not None and not wire.closed:
                    try:
                        return _wanted(await wire.ask(bytes_))
                    except ConnectionError:
                        pass  # closed by the server, which had not heard from us for a while, as we wrote: once more
                wire = await Wire.connect(self._port)
                return _wanted(await wire.ask(bytes_))
        except (OSError, TimeoutError) as error:
            if wire is not None:
                wire.close()
            wire = None
            raise Failed(type(error).__name__) from error
        finally:
            self._free.put_nowait(wire)


class Load:
    """The clients.

    Args:
        urls: of the APIs, by service.

    Attributes:
        answered: requests that were.
        failed: those that were not, or refused, by act and reason.
        seconds: how long each took since `cut` was called last.
    """

    def __init__(self, urls: Mapping[str, str], authority: Authority, dice: Random) -> None:
        self._membership, self._content, self._campaigns, self._scoring = (
            Service(urls[name]) for name in ("membership", "content", "campaigns", "scoring")
        )
        self._authority = authority
        self._dice = dice
        self._communities: list[Community] = []
        self._numbers = itertools.count()
        self._shop = self._bearer("shop", "purchases:write")
        self._reader = self._bearer("reader", "scores:read")
        self.answered = 0
        self.failed: Counter[str] = Counter()
        self.seconds: list[float] = []
        self._acts: dict[Callable[[Community], Awaitable[None]], int] = {
            self._join: 6,
            self._post: 12,
            self._comment: 20,
            self._react: 22,
            self._withdraw: 2,
            self._share: 2,
            self._visit: 10,
            self._buy: 6,
            self._refund: 2,
            self._read_board: 12,
            self._read_entries: 4,
            self._ask_for_ticket: 2,
        }

    async def found(self, communities: int, *, members: int) -> None:
        """Found communities, let people join, and have something of everything that can be acted upon."""
        for number in range(communities):
            owner = self._bearer(f"owner-{number}")
            charter = {"name": f"Early risers {number}", **_CHARTER}
            founded = await self._membership.ask("POST", "/v1/communities", _headers(owner), charter)
            community = Community(json.loads(founded.body)["id"])
            await self._membership.ask("POST", f"/v1/communities/{community.id}/launch", _headers(owner))
            await asyncio.gather(*(self._join(community) for _ in range(members)))
            for act in (self._post, self._share, self._until_heard, self._buy, self._read_board):
                await act(community)
            self._communities.append(community)

    async def join_strangers(self, number: int, clients: int) -> None:
        """Let so many join whom nobody will hear of again."""
        left = itertools.islice(itertools.cycle(self._communities), number)

        async def client() -> None:
            for community in left:
                await self._join(community)

        await asyncio.gather(*(client() for _ in range(clients)))

    async def at_rate(self, a_second: float, seconds: float) -> None:
        """Act so often, whatever the answers take. Durations count from when a request was due."""
        open_: set[asyncio.Task[None]] = set()
        started_at = time.perf_counter()
        for number in range(int(a_second * seconds)):
            due_at = started_at + number / a_second
            await asyncio.sleep(max(0.0, due_at - time.perf_counter()))
            while len(open_) >= WAITING:
                await asyncio.wait(open_, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._act(due_at))
            open_.add(task)
            task.add_done_callback(open_.discard)
        await asyncio.gather(*open_)

    async def at_full_speed(self, clients: int, seconds: float) -> None:
        """So many clients act, each as soon as it has its last answer."""
        end_at = time.perf_counter() + seconds

        async def client() -> None:
            while (now := time.perf_counter()) < end_at:
                await self._act(now)

        await asyncio.gather(*(client() for _ in range(clients)))

    def cut(self) -> list[float]:
        """The durations since the last cut, shortest first, in seconds."""
        seconds, self.seconds = sorted(self.seconds), []
        return seconds

    async def _act(self, due_at: float) -> None:
        [act] = self._dice.choices(list(self._acts), list(self._acts.values()))
        try:
            await act(self._dice.choice(self._communities))
        except Failed as failure:
            self.failed[f"{act.__name__.strip('_')}: {failure}"] += 1
        else:
            self.answered += 1
            self.seconds.append(time.perf_counter() - due_at)

    # --- What they do ---

    async def _join(self, community: Community) -> None:
        id = f"person-{next(self._numbers)}"
        bearer = self._bearer(id)
        how = {"share_code": community.shares.draw(self._dice)} if len(community.shares) else {}
        reply = await self._membership.ask("POST", f"/v1/communities/{community.id}/members", _headers(bearer), how)
        community.people.add(Person(id, bearer, reply.header("consistency-token")))

    async def _post(self, community: Community) -> None:
        body = {"body": "Who runs tomorrow at six? " * 8}
        path = f"/v1/communities/{community.id}/posts"
        community.posts.add(_id(await self._content.ask("POST", path, self._somebody(community), body)))

    async def _comment(self, community: Community) -> None:
        path = f"/v1/posts/{community.posts.draw(self._dice)}/comments"
        await self._content.ask("POST", path, self._somebody(community), {"body": "Count me in."})

    async def _react(self, community: Community) -> None:
        person, post, kind = (
            community.people.draw(self._dice),
            community.posts.draw(self._dice),
            self._dice.choice(_KINDS),
        )
        await self._content.ask("POST", f"/v1/posts/{post}/reactions", _as(person), {"kind": kind})
        community.reactions.add(Reaction(person, post, kind))

    async def _withdraw(self, community: Community) -> None:
        if not len(community.reactions):
            return await self._react(community)
        person, post, kind = community.reactions.take(self._dice)
        await self._content.ask("DELETE", f"/v1/posts/{post}/reactions/{kind}", _as(person))
        return None

    async def _share(self, community: Community) -> None:
        body = {"target_kind": "post", "target": community.posts.draw(self._dice), "channel": "weibo"}
        path = f"/v1/communities/{community.id}/shares"
        reply = await self._content.ask("POST", path, self._somebody(community), body)
        community.shares.add(json.loads(reply.body)["code"])

    async def _visit(self, community: Community) -> None:
        person = community.people.draw(self._dice)
        await self._content.ask("GET", f"/s/{community.shares.draw(self._dice)}", _headers(person.bearer))

    async def _buy(self, community: Community) -> None:
        order = {
            "community": community.id,
            "order_id": str(uuid4()),
            "buyer": community.people.draw(self._dice).id,
            "paid_minor": _PAID_MINOR,
            "currency": CURRENCY,
            "share_code": community.shares.draw(self._dice),
        }
        reply = await self._campaigns.ask("POST", "/v1/purchases", _headers(self._shop), order)
        community.purchases.add(_id(reply))

    async def _refund(self, community: Community) -> None:
        """In whole, so that no purchase is refunded twice."""
        if not len(community.purchases):
            return await self._buy(community)
        path = f"/v1/purchases/{community.purchases.take(self._dice)}/refunds"
        refund = {"refund_id": "1", "amount_minor": _PAID_MINOR}
        await self._campaigns.ask("POST", path, _headers(self._shop), refund)
        return None

    async def _read_board(self, community: Community) -> None:
        metric = self._dice.choice(("activity", "points", "commission"))
        path = f"/v1/communities/{community.id}/leaderboards/{metric}?limit=20"
        await self._scoring.ask("GET", path, _headers(self._reader))

    async def _read_entries(self, community: Community) -> None:
        person = community.people.draw(self._dice)
        path = f"/v1/people/me/entries?community={community.id}&limit=20"
        await self._scoring.ask("GET", path, _headers(person.bearer))

    async def _ask_for_ticket(self, community: Community) -> None:
        path = f"/v1/communities/{community.id}/leaderboards/points/tickets"
        await self._scoring.ask("POST", path, _headers(self._reader))

    async def _until_heard(self, community: Community) -> None:
        """Until campaigns and scoring know the community: shops and machines send no consistency tokens."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    await self._read_board(community)
                    return await self._buy(community)
                except Failed:
                    await asyncio.sleep(0.1)

    def _somebody(self, community: Community) -> dict[str, str]:
        return _as(community.people.draw(self._dice))

    def _bearer(self, subject: str, scope: str = "") -> str:
        return self._authority.token(subject, organization=ORGANIZATION, scope=scope)


def _as(person: Person) -> dict[str, str]:
    return {**_headers(person.bearer), "Consistency-Token": person.joined}


def _headers(bearer: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {bearer}"}


def _id(reply: Reply) -> str:
    return str(json.loads(reply.body)["id"])


def _wanted(reply: Reply) -> Reply:
    if reply.status >= 400:
        raise Failed(f"{reply.status} {_reason(reply)}")
    return reply


def _reason(reply: Reply) -> str:
    try:
        return str(json.loads(reply.body)["type"]).removeprefix("/problems/")
    except (ValueError, KeyError, TypeError):
        return ""
