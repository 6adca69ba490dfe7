"""Posts over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, cast
from uuid import UUID

from fastapi import Request, Response
from msgspec import Meta
from pydantic import ConfigDict, Field, StringConstraints

from services.content import resources
from services.content.api.fields import (
    Body,
    CommunityId,
    PostId,
    Service,
    StatedInstant,
    absent,
    read_counted,
)
from services.content.events import Draft
from shared.http.answers import read, respond
from shared.http.callers import AnyCaller, PersonCaller, reading_person
from shared.http.consistency import ConsistencyTokens
from shared.http.etags import IfMatch
from shared.http.idempotency import Idempotency
from shared.http.models import RequestModel
from shared.http.pages import Int64, Page, PageOf, decode_cursor
from shared.http.problems import problems
from shared.http.routes import service_router

router = service_router(prefix="/v1", tags=["posts"])

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Media = Annotated[
    list[Annotated[str, StringConstraints(max_length=2048, pattern=r"^https://[^\s/]+(/\S*)?$")]],
    Field(max_length=20, description="https URLs, in the order to show them."),
]
Topics = Annotated[
    list[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]],
    Field(max_length=10),
]
Rating = Annotated[int, Field(strict=True, ge=1, le=5, description="Of a review, which needs one; of nothing else.")]
Place: TypeAlias = tuple[Annotated[datetime, Meta(tz=True)], UUID]


class NewPost(RequestModel):
    """What an author writes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "text", "title": "Six o'clock", "body": "Who runs tomorrow?"},
                {"kind": "review", "body": "Light, and dry after an hour of rain.", "rating": 5},
            ]
        }
    )

    kind: Literal["text", "image", "link", "video", "question", "review", "announcement"] = Field(
        "text", description="Image, link and video need media, a review needs a rating; announcements are for staff."
    )
    title: Title | None = None
    body: Body
    media: Media = Field([])
    topics: Topics = Field([])
    rating: Rating | None = None
    occurred_at: StatedInstant = None

    def draft(self) -> Draft:
        return Draft(
            title=self.title, body=self.body, media=tuple(self.media), topics=tuple(self.topics), rating=self.rating
        )


class PostChange(RequestModel):
    """What an editor changes; what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"body": "Who runs tomorrow at six?"}]})

    title: Title | None = absent(description="Null takes the title away.")
    body: Body = absent()
    media: Media = absent()
    topics: Topics = absent()
    rating: Rating = absent()

    def changes(self) -> dict[str, Any]:
        """What is given, by name."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


@router.post(
    "/communities/{community}/posts",
    operation_id="publishPost",
    summary="Publish a post",
    status_code=201,
    response_model=resources.Post,
    responses=problems(401, 403, 404, 409, 503),
)
async def publish_post(
    service: Service,
    caller: PersonCaller,
    key: Idempotency,
    _: ConsistencyTokens,
    community: CommunityId,
    body: NewPost,
) -> Response:
    """By an active member of a launched community, or, with `Acting-Person`, for the person an import acts for."""
    done = await service.posts.publish(
        community, body.draft(), kind=body.kind, by=caller, occurred_at=body.occurred_at, key=key
    )
    return respond(done)


@router.get(
    "/communities/{community}/posts",
    operation_id="readFeed",
    summary="Read a community's feed",
    response_model=PageOf[resources.Post],
    responses=problems(400, 401, 403, 404),
)
async def read_feed(
    service: Service, caller: AnyCaller, community: CommunityId, page: Page, _: ConsistencyTokens, request: Request
) -> Response:
    """Newest first, by `occurred_at`, without what is removed or hidden. For active members, and for machines with scope
    `import`."""
    before = decode_cursor(page.after, cast("type[Place]", Place)) if page.after is not None else None
    rows, counts = await service.posts.feed(
        community,
        organization=caller.organization,
        reading=reading_person(caller),
        before=before,
        limit=page.limit + 1,
    )
    shown, following = page.cut(rows, lambda one: (one.occurred_at, one.post))
    items = [resources.Post.of_row(row, counts.get(str(row.post), {})) for row in shown]
    return read(request, PageOf[resources.Post](items=items, next=following))


@router.get(
    "/posts/{post}",
    operation_id="getPost",
    summary="Read a post",
    response_model=resources.Post,
    responses=problems(401, 403, 404),
)
async def get_post(
    service: Service, caller: AnyCaller, post: PostId, _: ConsistencyTokens, request: Request
) -> Response:
    """For active members of its community, and for machines with scope `import`."""
    row, counts = await service.posts.read(post, organization=caller.organization, reading=reading_person(caller))
    return read_counted(request, resources.Post.of_row(row, counts), version=row.version)


@router.get(
    "/posts/{post}/history",
    operation_id="readPostHistory",
    summary="Read what a post said before",
    response_model=PageOf[resources.PostVersion],
    responses=problems(400, 401, 403, 404),
)
async def read_post_history(
    service: Service, caller: AnyCaller, post: PostId, page: Page, _: ConsistencyTokens, request: Request
) -> Response:
    """Oldest version first. For its author, for owner and admins of the community, also of a post that is removed or
    hidden, and for machines with scope `import`."""
    versions = await service.posts.history(
        post,
        organization=caller.organization,
        reading=reading_person(caller),
        after=decode_cursor(page.after, Int64) if page.after is not None else 0,
        limit=page.limit + 1,
    )
    shown, following = page.cut(versions, lambda one: one[0])
    items = [resources.PostVersion.of(fact, version) for version, fact in shown]
    return read(request, PageOf[resources.PostVersion](items=items, next=following))


@router.patch(
    "/posts/{post}",
    operation_id="editPost",
    summary="Edit a post",
    response_model=resources.Post,
    responses=problems(401, 403, 404, 409, 503),
)
async def edit_post(
    service: Service, caller: PersonCaller, expected: IfMatch, _: ConsistencyTokens, post: PostId, body: PostChange
) -> Response:
    """By its author. A change that changes nothing leaves the version as it is."""
    return respond(await service.posts.edit(post, by=caller, expected=expected, changes=body.changes()))


@router.delete(
    "/posts/{post}",
    operation_id="removePost",
    summary="Remove a post",
    status_code=204,
    response_class=Response,
    responses=problems(401, 403, 404, 503),
)
async def remove_post(
    service: Service, caller: PersonCaller, expected: IfMatch, _: ConsistencyTokens, post: PostId
) -> Response:
    """By its author, also after leaving, or by the owner or an admin of the community. Removing a removed post changes
    nothing."""
    return respond(await service.posts.remove(post, by=caller, expected=expected))


@router.post(
    "/posts/{post}/restore",
    operation_id="restorePost",
    summary="Take the removal of a post back",
    response_model=resources.Post,
    responses=problems(401, 403, 404, 503),
)
async def restore_post(
    service: Service, caller: PersonCaller, key: Idempotency, _: ConsistencyTokens, post: PostId
) -> Response:
    """What its author removed, by the author; what an owner or admin removed, by any owner or admin. A post that is hidden
    stays hidden. Restoring a post that is not removed changes nothing."""
    return respond(await service.posts.restore(post, by=caller, key=key))


@router.post(
    "/posts/{post}/hide",
    operation_id="hidePost",
    summary="Hide a post",
    response_model=resources.Post,
    responses=problems(401, 403, 404, 503),
)
async def hide_post(
    service: Service, caller: PersonCaller, key: Idempotency, _: ConsistencyTokens, post: PostId
) -> Response:
    """By the owner or an admin of the community. Hiding a hidden post changes nothing."""
    return respond(await service.posts.hide(post, by=caller, key=key))


@router.post(
    "/posts/{post}/unhide",
    operation_id="unhidePost",
    summary="Stop hiding a post",
    response_model=resources.Post,
    responses=problems(401, 403, 404, 503),
)
async def unhide_post(
    service: Service, caller: PersonCaller, key: Idempotency, _: ConsistencyTokens, post: PostId
) -> Response:
    """By the owner or an admin of the community. A post that is removed stays removed."""
    return respond(await service.posts.unhide(post, by=caller, key=key))
