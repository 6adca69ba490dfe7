"""A token issuer for a developer's machine; it refuses to exist anywhere else."""

import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from fastapi import FastAPI
from pydantic import Field

from shared.http.app import create_app
from shared.http.jwks import LOOPBACK, StaticKeys
from shared.http.models import AnswerModel, PersonId, RequestModel
from shared.http.routes import service_router
from shared.http.settings import HttpSettings

_KEY_ID = "dev-1"
_LONGEST_SECONDS = 86_400


class TokenRequest(RequestModel):
    """Whom the token is for."""

    sub: PersonId
    org: PersonId
    scope: str = Field("", max_length=512, description="Scopes, separated by spaces; machines have some.")
    ttl: int = Field(3600, ge=1, le=_LONGEST_SECONDS, description="Seconds until the token expires.")


class TokenAnswer(AnswerModel):
    """A signed token."""

    access_token: str
    token_type: str
    expires_in: int


class DevelopmentIssuer:
    """Signs tokens for whoever asks.

    Args:
        settings: must say `mode="local"` and bind to loopback.
        folder: where the key pair is kept, readable by the owner only.

    Raises:
        RuntimeError: this is not a developer's machine.
    """

    def __init__(self, settings: HttpSettings, folder: Path) -> None:
        if settings.mode != "local" or settings.host not in LOOPBACK:
            raise RuntimeError(
                "The development issuer signs tokens for anybody. It starts only with QUNLI_MODE=local and on a "
                f"loopback address, not with mode {settings.mode!r} on {settings.host!r}."
            )
        self._settings = settings
        self._key = _key(folder / "issuer.pem")

    def sign(self, *, sub: str, org: str, scope: str = "", ttl: int = 3600, **claims: Any) -> str:
        """A token; further claims replace the usual ones."""
        now = int(time.time())
        payload = {
            "iss": self._settings.auth_issuer,
            "aud": self._settings.auth_audience,
            "iat": now,
            "exp": now + ttl,
            "sub": sub,
            "org": org,
            **({"scope": scope} if scope else {}),
            **claims,
        }
        return jwt.encode(payload, self._key, algorithm="EdDSA", headers={"kid": _KEY_ID, "typ": "at+jwt"})

    def documents(self) -> list[Mapping[str, Any]]:
        """The public key as JSON Web Keys."""
        public = jwt.algorithms.OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return [{**public, "kid": _KEY_ID, "alg": "EdDSA", "use": "sig"}]

    def keys(self) -> StaticKeys:
        """Its keys, for services of the same process."""
        return StaticKeys(self.documents(), self._settings.auth_algorithms)

    def app(self) -> FastAPI:
        """`POST /tokens` and `GET /jwks.json`, to be mounted at `/dev`."""
        router = service_router(tags=["development"])

        @router.post("/tokens", operation_id="createDevelopmentToken", status_code=201)
        async def create_token(request: TokenRequest) -> TokenAnswer:
            """A token for any person or machine of any organization. Local mode only."""
            token = self.sign(sub=request.sub, org=request.org, scope=request.scope, ttl=request.ttl)
            return TokenAnswer(access_token=token, token_type="Bearer", expires_in=request.ttl)  # noqa: S106

        @router.get("/jwks.json", operation_id="getDevelopmentKeys")
        async def get_keys() -> dict[str, Any]:
            """The public keys."""
            return {"keys": self.documents()}

        return create_app(
            name="dev",
            title="Development issuer",
            description="Signs tokens for anybody. Exists on a developer's machine only.",
            settings=self._settings,
            open_service=nullcontext,
            routers=[router],
            keys=self.keys(),
        )


def _key(path: Path) -> Ed25519PrivateKey:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        file, name = tempfile.mkstemp(dir=path.parent)  # 0600
        with os.fdopen(file, "wb") as stream:
            private = Ed25519PrivateKey.generate()
            stream.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        Path(name).replace(path)
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key
