"""The public keys that tokens are checked with: given, or fetched from the issuer and kept."""

import asyncio
import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import structlog
from jwt import PyJWK, PyJWTError

from shared.errors import Unavailable

log = structlog.get_logger(__name__)

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_LARGEST_DOCUMENT_BYTES = 1_000_000
_LEAST_RSA_BITS = 2048


class Keys(Protocol):
    """Where keys come from."""

    async def key(self, kid: str) -> PyJWK | None:
        """The key of that id, or None if the issuer has none.

        Raises:
            Unavailable: it cannot be known now.
        """
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...


class StaticKeys:
    """Keys known beforehand: one process with its own issuer, and tests.

    Args:
        documents: JSON Web Keys, public.
        algorithms: the allowed signature algorithms.
    """

    def __init__(self, documents: Iterable[Mapping[str, Any]], algorithms: Collection[str]) -> None:
        self._keys = usable(documents, algorithms)

    async def key(self, kid: str) -> PyJWK | None:
        return self._keys.get(kid)

    async def close(self) -> None:
        pass


class FetchedKeys:
    """An issuer's JWKS document: kept for five minutes, fetched by one at a time, used stale while the issuer is away.

    Args:
        url: from the settings, never from a token; https, or loopback if `plain_loopback`.
        algorithms: the allowed signature algorithms.
        plain_loopback: local mode.
        transport: another way to the issuer, for tests.
        clock: seconds that only grow, for tests.

    Raises:
        ValueError: the URL is not allowed.
    """

    FRESH_SECONDS = 300.0
    COOLDOWN_SECONDS = 30.0
    """Least time between two fetches because of an unknown key id, or because the last one failed with keys at hand."""
    RETRY_SECONDS = 1.0
    """Least time between two fetches while there are no keys at all."""
    PATIENCE_SECONDS = 1.0
    """How long a request waits for newer keys when it could be answered with stale ones."""

    def __init__(
        self,
        url: str,
        algorithms: Collection[str],
        *,
        plain_loopback: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (plain_loopback and parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError(f"QUNLI_AUTH_JWKS_URL must be an https URL, not {url!r}")
        self._url = url
        self._clock = clock
        self._algorithms = algorithms
        self._client = httpx.AsyncClient(timeout=3.0, follow_redirects=False, transport=transport)
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, kid: str) -> PyJWK | None:
        known = kid in self._keys
        if not known or self._clock() - self._fetched_at > self.FRESH_SECONDS:
            await self._refresh(patience=self.PATIENCE_SECONDS if known else None)
        if not self._keys:
            raise Unavailable("keys-unavailable", "The token cannot be checked now. Try again.")
        return self._keys.get(kid)

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
        await self._client.aclose()

    async def _refresh(self, patience: float | None) -> None:
        if self._fetching is None or self._fetching.done():
            pause = self.COOLDOWN_SECONDS if self._keys else self.RETRY_SECONDS
            if self._clock() - self._tried_at < pause:
                return
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._replace())
        # A request that gives up does not end the fetch that others wait for.
        await asyncio.wait({self._fetching}, timeout=patience)

    async def _replace(self) -> None:
        try:
            self._keys = await self._fetch()
            self._fetched_at = self._clock()
        except (httpx.HTTPError, TimeoutError, ValueError, KeyError, TypeError) as error:
            log.warning("auth.keys-not-fetched", error=type(error).__name__, stale=bool(self._keys))

    async def _fetch(self) -> dict[str, PyJWK]:
        async with asyncio.timeout(5), self._client.stream("GET", self._url) as response:
            response.raise_for_status()
            document = bytearray()
            async for chunk in response.aiter_bytes():
                document += chunk
                if len(document) > _LARGEST_DOCUMENT_BYTES:
                    raise ValueError("the key document is too large")
        found = usable(json.loads(document)["keys"], self._algorithms)
        if not found:
            raise ValueError("the key document holds no usable key")
        return found


def usable(documents: Iterable[Mapping[str, Any]], algorithms: Collection[str]) -> dict[str, PyJWK]:
    """Key id -> key, for the public signature keys of allowed algorithms among these."""
    found = {}
    for document in documents:
        try:
            if (
                document.get("kty") not in {"RSA", "EC", "OKP"}
                or document.get("use", "sig") != "sig"
                or "d" in document
            ):
                continue
            key = PyJWK.from_dict(dict(document))
        except (PyJWTError, TypeError, ValueError, AttributeError):
            continue  # other issuers' documents hold kinds of keys that are not ours to judge
        strong = key.key_type != "RSA" or key.key.key_size >= _LEAST_RSA_BITS
        if isinstance(key.key_id, str) and key.algorithm_name in algorithms and strong:
            found[key.key_id] = key
    return found
