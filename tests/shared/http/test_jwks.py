"""The issuer's keys: fetched once, kept, used stale, and never from a place that is not allowed."""

import asyncio
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from shared.errors import Unavailable
from shared.http.jwks import FetchedKeys, usable

ALGORITHMS = ("EdDSA", "RS256")
URL = "https://issuer.example/keys"


def document(kid: str) -> dict[str, Any]:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return {**jwt.algorithms.OKPAlgorithm.to_jwk(key, as_dict=True), "kid": kid}


class Issuer:
    """Serves a key document, or does not."""

    def __init__(self) -> None:
        self.keys = [document("a")]
        self.fetched = 0
        self.seconds = 0.01
        self.answer: httpx.Response | Exception | None = None

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.fetched += 1
        await asyncio.sleep(self.seconds)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or httpx.Response(200, json={"keys": self.keys})


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


@pytest.fixture
def keys(issuer: Issuer, clock: list[float]) -> FetchedKeys:
    return FetchedKeys(URL, ALGORITHMS, transport=httpx.MockTransport(issuer), clock=lambda: clock[0])


async def test_many_ask_and_one_fetches(issuer: Issuer, keys: FetchedKeys) -> None:
    found = await asyncio.gather(*(keys.key("a") for _ in range(50)))
    assert all(key is not None for key in found)
    assert issuer.fetched == 1


async def test_keys_are_fetched_again_after_five_minutes(issuer: Issuer, keys: FetchedKeys, clock: list[float]) -> None:
    await keys.key("a")
    clock[0] += 299
    await keys.key("a")
    assert issuer.fetched == 1
    issuer.keys = [document("b")]
    clock[0] += 2
    assert await keys.key("a") is None
    assert await keys.key("b") is not None


async def test_unknown_ids_do_not_make_us_hammer_the_issuer(
    issuer: Issuer, keys: FetchedKeys, clock: list[float]
) -> None:
    await keys.key("a")
    clock[0] += 31
    for number in range(100):
        assert await keys.key(f"x{number}") is None
    assert issuer.fetched == 2
    issuer.keys.append(document("b"))
    assert await keys.key("b") is None  # still in the pause
    clock[0] += 31
    assert await keys.key("b") is not None


async def test_stale_keys_serve_while_the_issuer_is_away(issuer: Issuer, keys: FetchedKeys, clock: list[float]) -> None:
    await keys.key("a")
    for answer in (
        httpx.ConnectError("away"),
        httpx.Response(500),
        httpx.Response(200, text="{"),
        httpx.Response(200, json={"keys": []}),
        httpx.Response(200, json=[]),
    ):
        issuer.answer = answer
        clock[0] += 400
        assert await keys.key("a") is not None
    assert issuer.fetched == 6


async def test_without_any_keys_it_is_unavailable_and_soon_tried_again(
    issuer: Issuer, keys: FetchedKeys, clock: list[float]
) -> None:
    issuer.answer = httpx.ConnectError("away")
    refusals = await asyncio.gather(*(keys.key("a") for _ in range(20)), return_exceptions=True)
    assert all(isinstance(refusal, Unavailable) for refusal in refusals)
    assert issuer.fetched == 1
    issuer.answer = None
    clock[0] += 1.1
    assert await keys.key("a") is not None


async def test_a_slow_issuer_does_not_hold_up_those_who_have_a_key(
    issuer: Issuer, keys: FetchedKeys, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FetchedKeys, "PATIENCE_SECONDS", 0.05)
    await keys.key("a")
    clock[0] += 400
    issuer.seconds = 0.5
    began = asyncio.get_running_loop().time()
    found = await asyncio.gather(*(keys.key("a") for _ in range(10)))
    assert asyncio.get_running_loop().time() - began < 0.4
    assert all(key is not None for key in found)
    assert issuer.fetched == 2
    await keys.close()


async def test_who_gives_up_does_not_end_the_fetch_for_others(issuer: Issuer, keys: FetchedKeys) -> None:
    issuer.seconds = 0.2
    first = asyncio.create_task(keys.key("a"))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(keys.key("a"))
    first.cancel()
    assert await second is not None
    assert issuer.fetched == 1


@pytest.mark.parametrize("status", [301, 302, 307])
async def test_redirects_are_not_followed(issuer: Issuer, keys: FetchedKeys, status: int) -> None:
    issuer.answer = httpx.Response(status, headers={"location": "http://169.254.169.254/keys"})
    with pytest.raises(Unavailable):
        await keys.key("a")
    assert issuer.fetched == 1


async def test_a_huge_document_is_refused(issuer: Issuer, keys: FetchedKeys) -> None:
    issuer.answer = httpx.Response(200, content=b" " * 2_000_000)
    with pytest.raises(Unavailable):
        await keys.key("a")


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://issuer.example/keys", False),
        ("http://issuer.example/keys", True),
        ("http://127.0.0.1:8400/dev/jwks.json", False),
        ("http://127.0.0.1.evil.example/keys", True),
        ("file:///etc/passwd", True),
        ("ftp://127.0.0.1/keys", True),
    ],
)
def test_a_url_that_is_not_https_is_refused(url: str, local: bool) -> None:
    with pytest.raises(ValueError, match="https"):
        FetchedKeys(url, ALGORITHMS, plain_loopback=local)


async def test_plain_http_works_on_loopback_in_local_mode(issuer: Issuer) -> None:
    transport = httpx.MockTransport(issuer)
    url = "http://127.0.0.1:8400/dev/jwks.json"
    keys = FetchedKeys(url, ALGORITHMS, plain_loopback=True, transport=transport)
    assert await keys.key("a") is not None
    await keys.close()


def test_only_strong_public_signature_keys_are_usable() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    strong = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = document("good")
    documents: list[Any] = [
        good,
        {**document("encryption"), "use": "enc"},
        {**good, "kid": 7},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {"kty": "OKP", "crv": "Ed448", "x": "AA", "kid": "ed448"},
        {**jwt.algorithms.RSAAlgorithm.to_jwk(weak.public_key(), as_dict=True), "kid": "weak"},
        {**jwt.algorithms.RSAAlgorithm.to_jwk(strong, as_dict=True), "kid": "private"},
        {**jwt.algorithms.RSAAlgorithm.to_jwk(strong.public_key(), as_dict=True), "kid": "pss", "alg": "PS256"},
        {"kid": "empty"},
        "no key",
    ]
    assert set(usable(documents, ALGORITHMS)) == {"good"}
