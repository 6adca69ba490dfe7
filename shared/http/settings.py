"""What the HTTP edge can be told; `shared.settings` combines it with the rest under the prefix `QUNLI_`."""

from typing import Literal

from pydantic import BaseModel, Field

Asymmetric = Literal["EdDSA", "ES256", "RS256"]
"""Signature algorithms that may be allowed; a shared secret is never a way to sign a token here."""


class HttpSettings(BaseModel):
    """Fields of the HTTP edge. Token settings are one issuer's."""

    mode: Literal["local", "production"] = Field(
        "production", description="`local` allows the development issuer and plain http on loopback."
    )
    host: str = Field("127.0.0.1", description="Address the server binds to.")
    auth_issuer: str = Field("http://127.0.0.1:8400/dev", description="The claim `iss` of every token.")
    auth_audience: str = Field("qunli", description="The claim `aud` must contain it.")
    auth_jwks_url: str | None = Field(None, description="Where the issuer publishes its keys; https outside loopback.")
    auth_algorithms: tuple[Asymmetric, ...] = Field(
        ("EdDSA", "ES256", "RS256"), min_length=1, description="Algorithms a token may be signed with."
    )
    auth_token_types: tuple[str, ...] = Field(
        ("at+jwt",), min_length=1, description="Accepted `typ` of the token header (RFC 9068), in lower case."
    )
    auth_leeway_seconds: int = Field(10, ge=0, le=30, description="How far the issuer's clock may be off.")
    auth_machine_scopes: tuple[str, ...] = Field(
        ("import", "rules:write", "scores:read", "purchases:write", "operate"),
        description="A token with one of these scopes belongs to a machine, not to a person.",
    )
    body_limit_bytes: int = Field(262_144, gt=0, description="Larger request bodies are refused.")
    request_timeout_seconds: float = Field(5.0, gt=0, description="Until the answer must have begun; then 503.")
    most_streams: int = Field(1000, ge=1, description="Most event streams of this process open at a time; then 503.")
    most_streams_of_one: int = Field(20, ge=1, description="Most of them of one person or machine.")
