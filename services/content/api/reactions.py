"""Reactions over HTTP.

A reaction is added by POST, as everything that counts: with a key, and with a time where an import states one. It is taken
back by DELETE at its kind, which may be repeated at will.
"""

from typing import Any

from fastapi import Response
from pydantic import ConfigDict

from services.content import resources
from services.content.api.fields import CommentId, PostId, Service, StatedInstant
from services.content.reaction import Kind
from shared.http.answers import respond
from shared.http.callers import PersonCaller
from shared.http.consistency import ConsistencyTokens
from shared.http.idempotency import Idempotency
from shared.http.models import RequestModel
from shared.http.problems import problems
from shared.http.routes import service_router

router = service_router(prefix="/v1", tags=["reactions"])

_STANDS: dict[int | str, dict[str, Any]] = {
    200: {"model": resources.Reaction, "description": "A reaction of this kind stands already."}
}


class NewReaction(RequestModel):
    """How a member reacts."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "like"}]})

    kind: Kind
    occurred_at: StatedInstant = None


@router.post(
    "/posts/{post}/reactions",
    operation_id="reactToPost",
    summary="React to a post",
    status_code=201,
    response_model=resources.Reaction,
    responses={**_STANDS, **problems(401, 403, 404, 409, 503)},
)
async def react_to_post(
    service: Service, caller: PersonCaller, key: Idempotency, _: ConsistencyTokens, post: PostId, body: NewReaction
) -> Response:
    """By an active member, at most once of each kind. To something of one's own: accepted, and does not count."""
    done = await service.reactions.react("post", post, body.kind, by=caller, occurred_at=body.occurred_at, key=key)
    return respond(done)


@router.delete(
    "/posts/{post}/reactions/{kind}",
    operation_id="withdrawReactionToPost",
    summary="Take a reaction to a post back",
    status_code=204,
    response_class=Response,
    responses=problems(401, 403, 404, 503),
)
async def withdraw_reaction_to_post(
    service: Service, caller: PersonCaller, _: ConsistencyTokens, post: PostId, kind: Kind
) -> Response:
    """By whoever reacted, also after leaving. Where there is none, nothing changes."""
    return respond(await service.reactions.withdraw("post", post, kind, by=caller))


@router.post(
    "/comments/{comment}/reactions",
    operation_id="reactToComment",
    summary="React to a comment",
    status_code=201,
    response_model=resources.Reaction,
    responses={**_STANDS, **problems(401, 403, 404, 409, 503)},
)
async def react_to_comment(
    service: Service,
    caller: PersonCaller,
    key: Idempotency,
    _: ConsistencyTokens,
    comment: CommentId,
    body: NewReaction,
) -> Response:
    """As to a post."""
    done = await service.reactions.react(
        "comment", comment, body.kind, by=caller, occurred_at=body.occurred_at, key=key
    )
    return respond(done)


@router.delete(
    "/comments/{comment}/reactions/{kind}",
    operation_id="withdrawReactionToComment",
    summary="Take a reaction to a comment back",
    status_code=204,
    response_class=Response,
    responses=problems(401, 403, 404, 503),
)
async def withdraw_reaction_to_comment(
    service: Service, caller: PersonCaller, _: ConsistencyTokens, comment: CommentId, kind: Kind
) -> Response:
    """As of a post."""
    return respond(await service.reactions.withdraw("comment", comment, kind, by=caller))
