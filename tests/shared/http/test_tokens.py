"""Which tokens are believed: the attacks that are known, and those of our own rules."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.errors import Unauthenticated
from shared.http.issuer import DevelopmentIssuer
from shared.http.jwks import StaticKeys
from shared.http.settings import HttpSettings
from shared.http.tokens import Tokens

ISSUER = "https://issuer.example"
SETTINGS = HttpSettings(auth_issuer=ISSUER, auth_audience="qunli")
ED = ed25519.Ed25519PrivateKey.generate()
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED_PEM = ED.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
RSA_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def documents() -> list[dict[str, Any]]:
    return [
        {**jwt.algorithms.OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True), "kid": "ed"},
        {**jwt.algorithms.ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "kid": "ec"},
        {**jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "rsa"},
        {"kty": "oct", "k": base64.urlsafe_b64encode(b"x" * 32).decode(), "kid": "shared-secret", "alg": "HS256"},
    ]


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(SETTINGS, StaticKeys(documents(), SETTINGS.auth_algorithms))


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": "qunli", "iat": now, "exp": now + 600, "sub": "ana", "org": "acme"}
    return {name: value for name, value in (usual | changes).items() if value is not ...}


def token(key: Any = ED, algorithm: str = "EdDSA", header: dict[str, Any] | None = None, **changes: Any) -> bytes:
    headers = {"kid": "ed", "typ": "at+jwt", **(header or {})}
    return b"Bearer " + jwt.encode(claims(**changes), key, algorithm, headers=headers).encode()


def forged(header: dict[str, Any], signature: bytes = b"") -> bytes:
    """A token put together by hand, as an attacker would."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    return (
        f"Bearer {part(json.dumps(header).encode())}.{part(json.dumps(claims()).encode())}.{part(signature)}".encode()
    )


def hmac_token(secret: bytes, **header: Any) -> bytes:
    """HS256 with a secret that PyJWT itself would not sign with: the public key."""
    import hashlib
    import hmac

    unsigned = forged({"alg": "HS256", "typ": "at+jwt", **header}).rsplit(b".", 1)[0]
    digest = hmac.new(secret, unsigned.removeprefix(b"Bearer "), hashlib.sha256).digest()
    return unsigned + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(ED, "EdDSA", "ed"), (EC, "ES256", "ec"), (RSA, "RS256", "rsa")])
async def test_a_token_of_each_allowed_algorithm_is_believed(
    tokens: Tokens, key: Any, algorithm: str, kid: str
) -> None:
    identity = await tokens.identity(token(key, algorithm, {"kid": kid}, scope="openid profile"))
    assert (identity.organization, identity.subject, identity.machine) == ("acme", "ana", False)
    assert identity.scopes == {"openid", "profile"}


def attacks() -> dict[str, tuple[bytes | None, str]]:
    """Authorization headers that must be refused, made now, and the reason to be told."""
    return {
        "no token": (None, "token-missing"),
        "not bearer": (b"Basic YTpi", "token-malformed"),
        "empty": (b"Bearer ", "token-malformed"),
        "nonsense": (b"Bearer a.b.c", "token-invalid"),
        "not ascii": (b"Bearer \xff\xfe.b.c", "token-invalid"),
        "too long": (b"Bearer " + b"a" * 9000, "token-malformed"),
        "alg none": (forged({"alg": "none", "typ": "at+jwt", "kid": "ed"}), "token-invalid"),
        "alg None with a signature": (
            forged({"alg": "None", "typ": "at+jwt", "kid": "ed"}, b"x" * 64),
            "token-invalid",
        ),
        "no alg": (forged({"typ": "at+jwt", "kid": "ed"}, b"x" * 64), "token-invalid"),
        "alg is a list": (forged({"alg": ["EdDSA"], "typ": "at+jwt", "kid": "ed"}, b"x" * 64), "token-invalid"),
        "header is a list": (b"Bearer W10.e30.", "token-invalid"),
        "HS256 with the public Ed25519 key": (hmac_token(ED_PEM, kid="ed"), "token-invalid"),
        "HS256 with the public RSA key": (hmac_token(RSA_PEM, kid="rsa"), "token-invalid"),
        "HS256 with a shared key of the key set": (hmac_token(b"x" * 32, kid="shared-secret"), "token-invalid"),
        "RS256 named for the Ed25519 key": (token(RSA, "RS256"), "token-invalid"),
        "signed by a stranger": (token(ed25519.Ed25519PrivateKey.generate()), "token-invalid"),
        "unknown kid": (token(header={"kid": "other"}), "token-invalid"),
        "kid is a path": (token(header={"kid": "../../dev/null"}), "token-invalid"),
        "kid is a number": (forged({"alg": "EdDSA", "typ": "at+jwt", "kid": 7}, b"x" * 64), "token-invalid"),
        "crit": (token(header={"crit": ["exp"], "exp": 1}), "token-invalid"),
        "an ID token": (token(header={"typ": "JWT"}), "token-invalid"),
        "no typ": (token(header={"typ": None}), "token-invalid"),
        "key in the token": (
            token(
                ed25519.Ed25519PrivateKey.generate(),
                header={
                    "jwk": jwt.algorithms.OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True),
                    "jku": "https://evil",
                },
            ),
            "token-invalid",
        ),
        "expired": (token(exp=int(time.time()) - 60), "token-expired"),
        "not yet valid": (token(nbf=int(time.time()) + 600), "token-invalid"),
        "issued in the future": (token(iat=int(time.time()) + 600), "token-invalid"),
        "another audience": (token(aud="other"), "token-wrong-audience"),
        "another issuer": (token(iss="https://evil.example"), "token-invalid"),
        "no exp": (token(exp=...), "token-invalid"),
        "no iat": (token(iat=...), "token-invalid"),
        "no aud": (token(aud=...), "token-invalid"),
        "no iss": (token(iss=...), "token-invalid"),
        "no sub": (token(sub=...), "token-invalid"),
        "no org": (token(org=...), "token-invalid"),
        "exp is a text": (token(exp="soon"), "token-invalid"),
        "exp is infinite": (token(exp=float("inf")), "token-invalid"),
        "sub is empty": (token(sub=""), "token-invalid"),
        "sub is too long": (token(sub="a" * 65), "token-invalid"),
        "sub has a NUL": (token(sub="a\x00"), "token-invalid"),
        "sub has a lone surrogate": (token(sub="a\ud800"), "token-invalid"),
        "org is a number": (token(org=7), "token-invalid"),
        "org is empty": (token(org=""), "token-invalid"),
        "scope is a list": (token(scope=["import"]), "token-invalid"),
    }


@pytest.mark.parametrize("attack", attacks())
async def test_an_attack_is_refused(tokens: Tokens, attack: str) -> None:
    authorization, reason = attacks()[attack]
    for _ in range(2):  # the second time, from memory if it were remembered
        with pytest.raises(Unauthenticated) as refusal:
            await tokens.identity(authorization)
        assert refusal.value.reason == reason


async def test_a_changed_token_is_refused_after_the_true_one_was_seen(tokens: Tokens) -> None:
    true = token()
    assert (await tokens.identity(true)).subject == "ana"
    head, _, signature = true.rsplit(b".", 2)
    evil = base64.urlsafe_b64encode(json.dumps(claims(sub="eve")).encode()).rstrip(b"=")
    with pytest.raises(Unauthenticated):
        await tokens.identity(b".".join((head, evil, signature)))


async def test_a_remembered_token_is_forgotten_when_it_expires(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    authorization = token(exp=int(now) + 100)
    assert (await tokens.identity(authorization)).subject == "ana"
    monkeypatch.setattr("shared.http.tokens.time.time", lambda: now + 101)
    # PyJWT reads its own clock, which has not moved: a token that is asked for again is checked again.
    monkeypatch.setattr("shared.http.tokens.jwt.decode", lambda *_, **__: claims(sub="checked again"))
    assert (await tokens.identity(authorization)).subject == "checked again"


async def test_a_remembered_token_is_checked_again_after_five_minutes(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tokens._keys
    authorization = token(exp=int(time.time()) + 3600)
    await tokens.identity(authorization)
    tokens._keys = StaticKeys([], SETTINGS.auth_algorithms)  # the issuer withdrew its keys
    assert (await tokens.identity(authorization)).subject == "ana"
    now = time.time()
    monkeypatch.setattr("shared.http.tokens.time.time", lambda: now + 301)
    with pytest.raises(Unauthenticated):
        await tokens.identity(authorization)
    tokens._keys = keys
    assert (await tokens.identity(authorization)).subject == "ana"


async def test_memory_is_bounded(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.http.tokens._REMEMBERED", 3)
    seen = [token(sub=f"p{number}") for number in range(5)]
    for authorization in seen[:3]:
        await tokens.identity(authorization)
    await tokens.identity(seen[0])
    await tokens.identity(seen[3])
    assert set(tokens._seen) == {seen[0], seen[2], seen[3]}


async def test_leeway_is_for_clocks_only(tokens: Tokens) -> None:
    assert (await tokens.identity(token(exp=int(time.time()) - 5))).subject == "ana"
    with pytest.raises(Unauthenticated):
        await tokens.identity(token(exp=int(time.time()) - 15))


def test_no_way_to_check_tokens_is_an_error() -> None:
    with pytest.raises(ValueError, match="QUNLI_AUTH_JWKS_URL"):
        Tokens(SETTINGS)


def test_shared_secrets_cannot_be_allowed() -> None:
    for algorithm in ("HS256", "none"):
        with pytest.raises(ValueError, match="auth_algorithms"):
            HttpSettings.model_validate({"auth_algorithms": (algorithm,)})
    with pytest.raises(ValueError, match="auth_leeway_seconds"):
        HttpSettings(auth_leeway_seconds=31)


@pytest.mark.parametrize(
    "settings",
    [
        HttpSettings(mode="production", host="127.0.0.1"),
        HttpSettings(mode="local", host="0.0.0.0"),
        HttpSettings(mode="local", host="10.0.0.7"),
        HttpSettings(mode="production", host="0.0.0.0"),
    ],
)
def test_the_development_issuer_refuses_to_exist_elsewhere(settings: HttpSettings, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="QUNLI_MODE=local"):
        DevelopmentIssuer(settings, tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_the_development_issuer_keeps_its_key_to_itself(tmp_path: Path) -> None:
    settings = HttpSettings(mode="local")
    folder = tmp_path / "state"
    first = DevelopmentIssuer(settings, folder)
    file = folder / "issuer.pem"
    assert file.stat().st_mode & 0o777 == 0o600
    again = DevelopmentIssuer(settings, folder)
    authorization = b"Bearer " + first.sign(sub="ana", org="acme", scope="import").encode()
    identity = await Tokens(settings, again.keys()).identity(authorization)
    assert (identity.subject, identity.machine) == ("ana", True)
    assert all("d" not in document for document in again.documents())
