"""Clients that publish and remove posts, and repeat every request with its key until it is answered."""

import asyncio
import itertools
import random
from collections.abc import Callable

import httpx

TRANSIENT = {409, 503}


class Load:
    """A closed loop of clients against one API.

    Attributes:
        published: number of the post -> its id, for every post that was acknowledged.
        removed: numbers of the posts whose removal was acknowledged.
        repeats_differed: numbers of the posts for which a repeat got another answer than the first request.
    """

    def __init__(self, url: str, community: str, persons: list[str], token: Callable[[], str], *, seed: int) -> None:
        self.published: dict[int, str] = {}
        self.removed: set[int] = set()
        self.repeats_differed: list[int] = []
        self._url = url
        self._community = community
        self._persons = persons
        self._token = token
        self._random = random.Random(seed)
        self._numbers = itertools.count()
        self._stop = asyncio.Event()

    async def run(self, clients: int) -> None:
        limits = httpx.Limits(max_connections=clients)
        async with (
            httpx.AsyncClient(base_url=self._url, timeout=5, limits=limits) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(clients):
                group.create_task(self._act(client))

    def stop(self) -> None:
        """Let every client finish the request it is at."""
        self._stop.set()

    async def _act(self, client: httpx.AsyncClient) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            post = await self._publish(client, number)
            self.published[number] = post
            if self._random.random() < 0.05:
                again = await self._publish(client, number)
                if again != post:
                    self.repeats_differed.append(number)
            if self._random.random() < 0.1:
                await self._remove(client, number, post)
            await asyncio.sleep(0.02)

    def person_of(self, number: int) -> str:
        return self._persons[number * 7919 % len(self._persons)]

    async def _publish(self, client: httpx.AsyncClient, number: int) -> str:
        response = await self._until_answered(
            client,
            "POST",
            f"/v1/communities/{self._community}/posts",
            number,
            headers={"Idempotency-Key": f"post-{number}"},
            json={"body": f"post number {number}"},
        )
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    async def _remove(self, client: httpx.AsyncClient, number: int, post: str) -> None:
        response = await self._until_answered(
            client, "DELETE", f"/v1/posts/{post}", number, headers={"If-Match": '"1"'}
        )
        # After a lost answer the repeat finds the post gone: that is the removal's acknowledgement, too.
        assert response.status_code in {204, 404, 412}, response.text
        self.removed.add(number)

    async def _until_answered(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        number: int,
        *,
        headers: dict[str, str],
        json: object = None,
    ) -> httpx.Response:
        headers = {**headers, "Authorization": f"Bearer {self._token()}", "Acting-Person": self.person_of(number)}
        async with asyncio.timeout(200):
            while True:
                try:
                    response = await client.request(method, path, headers=headers, json=json)
                except httpx.TransportError:
                    pass
                else:
                    busy = response.status_code == 409 and "idempotency-key-in-use" in response.text
                    if response.status_code != 503 and not busy:
                        return response
                await asyncio.sleep(0.05)
