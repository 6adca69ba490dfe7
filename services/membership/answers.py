"""What commands answer: the resource as decided, with its ETag."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from services.membership import member, resources
from services.membership.events import MemberJoined
from shared.commands.command import Answer, Decision, Known, Stream
from shared.http.etags import etag

COMMUNITIES = "/membership/v1/communities"
INVITATIONS = "/membership/v1/invitations"


def answer(
    status: int,
    resource: resources.Community | resources.Member | resources.Invitation,
    *,
    location: str | None = None,
) -> Answer:
    """The resource; its ETag is its version."""
    headers = {"ETag": etag(resource.version)}
    if location is not None:
        headers["Location"] = location
    return Answer(status, resource.model_dump_json().encode(), headers)


def member_decision(
    known: Known,
    membership: Stream[member.State],
    changes: Sequence[Any],
    events: Mapping[Stream[Any], Sequence[Any]] | None = None,
) -> Decision:
    """The member after `changes`, its own facts among `events`; 201 with its place where it joined."""
    state = member.FOLD.of(changes, known.state(membership))
    assert not isinstance(state, member.Stranger)
    resource = resources.Member.of(state, known.version(membership) + len(changes))
    happened = {membership: changes} if events is None else events
    if any(isinstance(change, MemberJoined) for change in changes):
        location = f"{COMMUNITIES}/{resource.community}/members/{quote(resource.person, safe='')}"
        return Decision(answer(201, resource, location=location), happened)
    return Decision(answer(200, resource), happened)
