"""Who calls: the dependencies by which a route says whom it serves."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, cast
from urllib.parse import quote, unquote

from fastapi import Depends
from starlette.requests import Request

from shared.errors import BadRequest, Forbidden
from shared.http.parameters import Documented, documents, header_parameter
from shared.http.request import received
from shared.http.tokens import Identity, Tokens, is_name

IMPORT = "import"
"""The scope of callers that act for persons and may state when something happened."""

OPERATE = "operate"
"""The scope of those who run the system. What they see and do belongs to no organization."""


ME = "me"
"""Stands for the caller's own person id in paths."""


@dataclass(frozen=True)
class Caller:
    """Who sent a request.

    Attributes:
        organization: its tenant.
        subject: person id or machine id.
        person: for whom it acts; None for a machine that acts for nobody.
        scopes: of its token.
        importing: an import acts for `person`, by the header `Acting-Person`.
    """

    organization: str
    subject: str
    person: str | None
    scopes: frozenset[str]
    importing: bool = False

    @cached_property
    def key(self) -> str:
        """Owner of idempotency keys: different for different callers, whatever characters their ids hold."""
        parts = [self.organization, self.subject]
        if self.importing and self.person is not None:
            parts.append(self.person)
        return "/".join(_escaped(part) for part in parts)


@dataclass(frozen=True)
class Person(Caller):
    """A caller that is a person, or acts for one."""

    person: str


_PARAMETERS = (header_parameter("Acting-Person", "With scope `import`: the person to act for, percent-encoded."),)


class _Authentication:
    """Edge dependency that answers the caller, if it may call."""

    def __init__(self, *, person: bool = False, scope: str | None = None) -> None:
        self.documented = Documented(parameters=_PARAMETERS, statuses=(400, 401, 403), secured=True)
        self._person = person
        self._scope = scope

    async def __call__(self, request: Request) -> Caller:
        caller = await authenticate(request)
        if self._scope is not None and self._scope not in caller.scopes:
            raise Forbidden("scope-missing", f"The token lacks the scope `{self._scope}`.", scope=self._scope)
        if self._person and caller.person is None:
            raise Forbidden(
                "person-required",
                "Only a person can do this; a machine with scope `import` names one in the header Acting-Person.",
            )
        return caller


AnyCaller = Annotated[Caller, Depends(_Authentication())]
PersonCaller = Annotated[Person, Depends(_Authentication(person=True))]


def require_scope(scope: str) -> Any:
    """Dependency for `Annotated[Caller, require_scope("rules:write")]`; 403 `scope-missing` without it."""
    return Depends(_Authentication(scope=scope))


def named(caller: Caller, person: str) -> str:
    """The person of a path, which may be `me`. For a machine that acts for nobody `me` is a person id like others."""
    return caller.person if person == ME and caller.person is not None else person


def reading_person(caller: Caller) -> str | None:
    """The person who reads what members may, or None for an import, which may as well.

    Raises:
        Forbidden: a machine without the scope for it.
    """
    if IMPORT in caller.scopes:
        return None
    if caller.person is None:
        raise Forbidden("scope-missing", f"A machine needs the scope `{IMPORT}` for this.", scope=IMPORT)
    return caller.person


async def authenticate(request: Request) -> Caller:
    """The caller of this request.

    Raises:
        Unauthenticated: no valid token.
        Forbidden: `Acting-Person` without the scope for it.
        BadRequest: `Acting-Person` is no person id.
    """
    tokens = cast(Tokens, request.scope["app"].state.tokens)
    got = received(request)
    if got.caller is not None:
        return got.caller
    identity = await tokens.identity(got.headers.get(b"authorization"))
    acting = got.headers.get(b"acting-person")
    if acting is not None:
        caller: Caller = _acting(identity, acting)
    elif identity.machine:
        caller = Caller(identity.organization, identity.subject, None, identity.scopes)
    else:
        caller = Person(identity.organization, identity.subject, identity.subject, identity.scopes)
    got.caller = caller
    return caller


@documents(Documented(statuses=(401,), secured=True))
async def token_expiry(request: Request) -> float:
    """When the token of this request expires, in seconds since 1970. Raises as `authenticate`."""
    tokens = cast(Tokens, request.scope["app"].state.tokens)
    return (await tokens.identity(received(request).headers.get(b"authorization"))).expires_at


TokenExpiry = Annotated[float, Depends(token_expiry)]


def _acting(identity: Identity, header: bytes) -> Caller:
    if IMPORT not in identity.scopes:
        raise Forbidden("acting-person-not-allowed", "Only a token with the scope `import` acts for a person.")
    # Header values are visible ASCII; other characters of an id come percent-encoded.
    person = unquote(header.decode("latin-1"), errors="surrogateescape")
    if not header.isascii() or not is_name(person):
        raise BadRequest("acting-person-malformed", "Acting-Person is a person id, percent-encoded where not ASCII.")
    return Person(identity.organization, identity.subject, person, identity.scopes, importing=True)


def _escaped(part: str) -> str:
    return quote(part, safe="") if "/" in part or "%" in part else part
