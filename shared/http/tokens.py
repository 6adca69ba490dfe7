"""Who signed this request, and for whom: bearer tokens checked once, and remembered until they expire."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import jwt

from shared.errors import Unauthenticated
from shared.http.jwks import FetchedKeys, Keys
from shared.http.settings import HttpSettings

_REMEMBERED = 10_000
_LONGEST_MEMORY_SECONDS = 300.0
"""A key that the issuer withdraws stops working within this time, also for tokens already seen."""
_LONGEST_TOKEN_BYTES = 8192
_REQUIRED = ["exp", "iat", "iss", "aud", "sub", "org"]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a valid token says.

    Attributes:
        organization: claim `org`, 1..64 characters.
        subject: claim `sub`, 1..64 characters.
        scopes: claim `scope`, split at spaces.
        machine: the token belongs to a program, not to a person.
        expires_at: claim `exp`, seconds since 1970.
    """

    organization: str
    subject: str
    scopes: frozenset[str]
    machine: bool
    expires_at: float


class Tokens:
    """Checks bearer tokens of one issuer.

    Args:
        settings: issuer, audience, algorithms, leeway.
        keys: where the keys come from; by default the settings' JWKS URL.

    Raises:
        ValueError: neither keys nor a URL is given.
    """

    def __init__(self, settings: HttpSettings, keys: Keys | None = None) -> None:
        if keys is None and settings.auth_jwks_url is None:
            raise ValueError("QUNLI_AUTH_JWKS_URL is missing: without it no token can be checked")
        self._keys = keys or FetchedKeys(
            settings.auth_jwks_url or "", settings.auth_algorithms, plain_loopback=settings.mode == "local"
        )
        self._settings = settings
        self._machine_scopes = frozenset(settings.auth_machine_scopes)
        self._types = frozenset(settings.auth_token_types)
        self._seen: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()

    async def identity(self, authorization: bytes | None) -> Identity:
        """Read an `Authorization` header.

        Raises:
            Unauthenticated: there is no valid token in it.
            Unavailable: the issuer's keys cannot be had.
        """
        if authorization is None:
            raise Unauthenticated("token-missing", "Send `Authorization: Bearer <token>`.")
        seen = self._seen.get(authorization)
        if seen is not None:
            if time.time() < seen[0]:
                self._seen.move_to_end(authorization)
                return seen[1]
            del self._seen[authorization]
        until, identity = await self._checked(authorization)
        if len(self._seen) >= _REMEMBERED:
            self._seen.popitem(last=False)
        self._seen[authorization] = (until, identity)
        return identity

    async def close(self) -> None:
        """Let the key source's connections go."""
        await self._keys.close()

    async def _checked(self, authorization: bytes) -> tuple[float, Identity]:
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not token or len(token) > _LONGEST_TOKEN_BYTES:
            raise Unauthenticated("token-malformed", "Send `Authorization: Bearer <token>`.")
        try:
            claims = await self._claims(token)
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("token-expired", "The token has expired. Get a new one.") from None
        except jwt.InvalidAudienceError:
            raise Unauthenticated("token-wrong-audience", "The token was made for another API.") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise Unauthenticated("token-invalid", "The token is not valid here.") from None
        until = min(float(claims["exp"]), time.time() + _LONGEST_MEMORY_SECONDS)
        return until, self._identity(claims)

    async def _claims(self, token: bytes) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)  # refuses unknown `crit`
        kid, kind, algorithm = header.get("kid"), header.get("typ"), header.get("alg")
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in self._types:
            raise jwt.InvalidTokenError("typ")
        if algorithm not in self._settings.auth_algorithms or not isinstance(kid, str):
            raise jwt.InvalidTokenError("alg or kid")
        key = await self._keys.key(kid)
        if key is None or key.algorithm_name != algorithm:
            raise jwt.InvalidTokenError("no such key")
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=self._settings.auth_audience,
            issuer=self._settings.auth_issuer,
            leeway=self._settings.auth_leeway_seconds,
            options={"require": _REQUIRED},
        )

    def _identity(self, claims: dict[str, Any]) -> Identity:
        scope = claims.get("scope", "")
        if not isinstance(scope, str):
            raise Unauthenticated("token-invalid", "The claim `scope` must be one string, separated by spaces.")
        for name in ("org", "sub"):
            if not is_name(claims[name]):
                raise Unauthenticated("token-invalid", f"The claim `{name}` must be a text of 1 to 64 characters.")
        scopes = frozenset(scope.split())
        machine = bool(scopes & self._machine_scopes) or claims.get("client_id") == claims["sub"]
        return Identity(claims["org"], claims["sub"], scopes, machine, float(claims["exp"]))


def is_name(value: object) -> bool:
    """Whether this can be the id of a person or organization: 1..64 characters that PostgreSQL can store."""
    return isinstance(value, str) and 1 <= len(value) <= 64 and "\x00" not in value and _encodes(value)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
