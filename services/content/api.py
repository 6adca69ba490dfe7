"""Content over HTTP."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response
from msgspec import UNSET, Meta
from pydantic import ConfigDict, Field, StringConstraints

from services.content import resources
from services.content.events import Draft
from services.content.service import Content
from shared.http.answers import read, respond
from shared.http.app import get_service
from shared.http.callers import AnyCaller, PersonCaller, reading_person
from shared.http.consistency import ConsistencyTokens
from shared.http.etags import IfMatch
from shared.http.idempotency import Idempotency
from shared.http.models import Identifier, Instant, RequestModel
from shared.http.pages import Page, PageOf, decode_cursor, encode_cursor
from shared.http.problems import problems
from shared.http.routes import service_router

router = service_router(prefix="/v1", tags=["posts"])

Service = Annotated[Content, Depends(get_service)]
CommunityId = Annotated[Identifier, Path(alias="community")]
PostId = Annotated[Identifier, Path(alias="post")]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Body = Annotated[
    str, StringConstraints(min_length=1, max_length=20_000, pattern=r"\S"), Field(description="Not only white space.")
]
Media = Annotated[
    list[Annotated[str, StringConstraints(max_length=2048, pattern=r"^https://[^\s/]+(/\S*)?$")]],
    Field(max_length=20, description="https URLs, in the order to show them."),
]
Topics = Annotated[
    list[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]],
    Field(max_length=10),
]
Place: TypeAlias = tuple[Annotated[datetime, Meta(tz=True)], UUID]


class NewPost(RequestModel):
    """What an author writes."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "text", "title": "Six o'clock", "body": "Who runs tomorrow?"}]}
    )

    kind: Literal["text", "image", "link", "video", "question", "review", "announcement"] = Field(
        "text", description="Image, link and video need media. Review and announcement are not offered yet."
    )
    title: Title | None = None
    body: Body
    media: Media = Field([])
    topics: Topics = Field([])
    occurred_at: Instant | None = Field(
        None,
        description="Only for scope `import`: when it was written; at most five minutes ahead of the server's clock.",
    )

    def draft(self) -> Draft:
        return Draft(title=self.title, body=self.body, media=tuple(self.media), topics=tuple(self.topics))


def _no_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def _absent(**more: Any) -> Any:
    """A field that may be left out without having a default."""
    return Field(default=None, json_schema_extra=_no_default, **more)


class PostChange(RequestModel):
    """What an editor changes; what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"body": "Who runs tomorrow at six?"}]})

    title: Title | None = _absent(description="Null takes the title away.")
    body: Body = _absent()
    media: Media = _absent()
    topics: Topics = _absent()


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
    done = await service.publish(
        community,
        body.draft(),
        kind=body.kind,
        organization=caller.organization,
        person=caller.person,
        occurred_at=body.occurred_at,
        importing=caller.importing,
        key=key,
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
    """Newest first, by `occurred_at`. For active members, and for machines with scope `import`."""
    before = decode_cursor(page.after, cast("type[Place]", Place)) if page.after is not None else None
    rows = await service.feed(
        community,
        organization=caller.organization,
        reading=reading_person(caller),
        before=before,
        limit=page.limit + 1,
    )
    shown = rows[: page.limit]
    cursor = encode_cursor((shown[-1].occurred_at, shown[-1].post)) if len(rows) > page.limit else None
    items = [resources.Post.of_row(row) for row in shown]
    return read(request, PageOf[resources.Post](items=items, next=page.next(cursor)))


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
    row = await service.post(post, organization=caller.organization, reading=reading_person(caller))
    return read(request, resources.Post.of_row(row), version=row.version)


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
    given = body.model_fields_set
    done = await service.edit(
        post,
        organization=caller.organization,
        person=caller.person,
        expected=expected,
        title=body.title if "title" in given else UNSET,
        body=body.body if "body" in given else UNSET,
        media=tuple(body.media) if "media" in given else UNSET,
        topics=tuple(body.topics) if "topics" in given else UNSET,
    )
    return respond(done)


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
    """By its author, also after leaving, or by the owner of the community. Removing a removed post changes nothing."""
    done = await service.remove(post, organization=caller.organization, person=caller.person, expected=expected)
    return respond(done)


ROUTERS: Sequence[APIRouter] = (router,)
