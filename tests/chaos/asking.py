"""Asking until there is an answer: every request is repeated, with its key, and what was acknowledged is noted."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from tests.chaos.history import Acknowledged, History, Reading
from tests.chaos.scene import Made, Scene

PATIENCE_SECONDS = 240.0
"""Far more than it takes: the machine may be busy with other things."""

REPEATED = 0.05
READ = 0.2
SHOP = "shop"


class Asking:
    """How clients ask.

    Args:
        urls: of the processes of each service's API; every request, and every repeat, goes to any of them.
        token: of a machine that may act for anybody.
    """

    _http: httpx.AsyncClient

    def __init__(
        self, urls: Mapping[str, Sequence[str]], token: str, scene: Scene, history: History, *, seed: str
    ) -> None:
        self._urls = urls
        self._token = token
        self._scene = scene
        self._history = history
        self._random = random.Random(seed)

    async def _command(
        self,
        kind: str,
        marker: str,
        service: str,
        path: str,
        person: str | None,
        body: Mapping[str, Any],
        *,
        after: str = "",
        chain: tuple[str, ...] | None = None,
        may_be_gone: Made | None = None,
    ) -> httpx.Response | None:
        """Ask until it is answered, note what was acknowledged, and now and then repeat it, and look whether it is seen.

        Args:
            may_be_gone: a post that another client may remove meanwhile; the command may be refused then.
        """
        key = f"key-{marker}".replace(" ", "-")
        answer, attempts = await self._send("POST", service, path, person, body, key=key, after=after)
        if answer.status_code != 201:
            if may_be_gone is None or may_be_gone in self._scene.posts:
                self._history.otherwise.append(f"answer: {kind} {marker} got {answer.status_code}: {answer.text}")
            return None
        token, made = answer.headers["consistency-token"], answer.json()
        named = str(made.get("id", ""))
        who = person or str(body.get("buyer", SHOP))
        self._history.acknowledged.append(Acknowledged(kind, marker, who, named, key, token, attempts, chain))
        if self._random.random() < REPEATED:
            again, _ = await self._send("POST", service, path, person, body, key=key, after=after)
            if (again.status_code, again.text) != (201, answer.text):
                self._history.otherwise.append(
                    f"answer: {kind} {marker} repeated got {again.status_code}: {again.text}"
                )
        if self._random.random() < READ and kind not in ("member-joined.v1", "purchase-refunded.v1"):
            entries = f"/v1/people/{who}/entries?limit=100"
            await self._read(
                marker, "scoring", entries, token, lambda body: any(item["act_id"] == named for item in body["items"])
            )
        return answer

    async def _read(
        self,
        marker: str,
        service: str,
        path: str,
        token: str,
        shows: Callable[[Mapping[str, Any]], bool],
        *,
        acting: str | None = None,
    ) -> None:
        answer, _ = await self._send("GET", service, path, acting, after=token)
        seen = answer.status_code == 200 and shows(answer.json())
        self._history.readings.append(Reading(marker, f"{service} {path} ({answer.status_code})", seen))

    async def _send(
        self,
        method: str,
        service: str,
        path: str,
        person: str | None,
        body: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        etag: str | None = None,
        after: str = "",
    ) -> tuple[httpx.Response, int]:
        """One request, repeated until it is answered otherwise than by "not now"; and how often it was sent."""
        given = {"Idempotency-Key": key, "If-Match": etag, "Consistency-Token": after, "Acting-Person": person}
        headers = {name: value for name, value in given.items() if value} | {"Authorization": f"Bearer {self._token}"}
        attempts, last = 0, ""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            attempts += 1
            try:
                url = self._random.choice(self._urls[service]) + path
                answer = await self._http.request(method, url, headers=headers, json=body)
            except httpx.TransportError as error:
                last = repr(error)
            else:
                busy = answer.status_code == 409 and "idempotency-key-in-use" in answer.text
                if answer.status_code != 503 and not busy:
                    return answer, attempts
                last = answer.text
            await asyncio.sleep(self._random.uniform(0.03, 0.15))
        raise TimeoutError(f"{method} {service} {path} is not answered, sent {attempts} times: {last}")
