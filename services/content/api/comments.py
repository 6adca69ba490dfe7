"""Comments over HTTP."""

from fastapi import Request, Response
from pydantic import ConfigDict, Field

from services.content import resources
from services.content.api.fields import Body, CommentId, PostId, Service, StatedInstant, read_counted
from shared.http.answers import read, respond
from shared.http.callers import AnyCaller, PersonCaller, reading_person
from shared.http.consistency import ConsistencyTokens
from shared.http.etags import IfMatch
from shared.http.idempotency import Idempotency
from shared.http.models import Identifier, RequestModel
from shared.http.pages import Int64, Page, PageOf, decode_cursor
from shared.http.problems import problems
from shared.http.routes import service_router

router = service_router(prefix="/v1", tags=["comments"])


class NewComment(RequestModel):
    """What a member says to a post."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"body": "I do."}, {"body": "So do I.", "parent": "0193a5b2-0c11-7d0e-8a55-5a0b6a3a9c02"}]
        }
    )

    body: Body
    parent: Identifier | None = Field(None, description="The comment this replies to, which is itself no reply.")
    occurred_at: StatedInstant = None


@router.post(
    "/posts/{post}/comments",
    operation_id="addComment",
    summary="Comment on a post",
    status_code=201,
    response_model=resources.Comment,
    responses=problems(401, 403, 404, 409, 503),
)
async def add_comment(
    service: Service, caller: PersonCaller, key: Idempotency, _: ConsistencyTokens, post: PostId, body: NewComment
) -> Response:
    """By an active member, or, with `Acting-Person`, for the person an import acts for. It gets the next floor of the
    post. Replies are one level deep."""
    done = await service.comments.add(
        post, body.body, parent=body.parent, by=caller, occurred_at=body.occurred_at, key=key
    )
    return respond(done)


@router.get(
    "/posts/{post}/comments",
    operation_id="readThread",
    summary="Read the comments of a post",
    response_model=PageOf[resources.Comment],
    responses=problems(400, 401, 403, 404),
)
async def read_thread(
    service: Service, caller: AnyCaller, post: PostId, page: Page, _: ConsistencyTokens, request: Request
) -> Response:
    """By floor. A removed comment keeps its place, without its body. For active members, and for machines with scope
    `import`."""
    rows, counts = await service.comments.thread(
        post,
        organization=caller.organization,
        reading=reading_person(caller),
        after=decode_cursor(page.after, Int64) if page.after is not None else 0,
        limit=page.limit + 1,
    )
    shown, following = page.cut(rows, lambda one: one.floor)
    items = [resources.Comment.of_row(row, counts.get(str(row.comment), {})) for row in shown]
    return read(request, PageOf[resources.Comment](items=items, next=following))


@router.get(
    "/comments/{comment}",
    operation_id="getComment",
    summary="Read a comment",
    response_model=resources.Comment,
    responses=problems(401, 403, 404),
)
async def get_comment(
    service: Service, caller: AnyCaller, comment: CommentId, _: ConsistencyTokens, request: Request
) -> Response:
    """For active members of its community, and for machines with scope `import`."""
    row, counts = await service.comments.read(comment, organization=caller.organization, reading=reading_person(caller))
    return read_counted(request, resources.Comment.of_row(row, counts), version=row.version)


@router.delete(
    "/comments/{comment}",
    operation_id="removeComment",
    summary="Remove a comment",
    status_code=204,
    response_class=Response,
    responses=problems(401, 403, 404, 503),
)
async def remove_comment(
    service: Service, caller: PersonCaller, expected: IfMatch, _: ConsistencyTokens, comment: CommentId
) -> Response:
    """By its author, also after leaving, or by the owner or an admin of the community. Its floor is never used again.
    Removing a removed comment changes nothing."""
    return respond(await service.comments.remove(comment, by=caller, expected=expected))
