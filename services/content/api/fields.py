"""What the routes of content have in common: the service, what paths name, and fields of bodies."""

from typing import Annotated, Any

from fastapi import Depends, Path, Response
from pydantic import BaseModel, Field, StringConstraints
from starlette.requests import Request

from services.content.service import Content
from shared.http.answers import read
from shared.http.app import get_service
from shared.http.etags import etag
from shared.http.models import Identifier, Instant

Service = Annotated[Content, Depends(get_service)]
CommunityId = Annotated[Identifier, Path(alias="community")]
PostId = Annotated[Identifier, Path(alias="post")]
CommentId = Annotated[Identifier, Path(alias="comment")]

Body = Annotated[
    str, StringConstraints(min_length=1, max_length=20_000, pattern=r"\S"), Field(description="Not only white space.")
]
StatedInstant = Annotated[
    Instant | None,
    Field(description="Only for scope `import`: when it was; at most five minutes ahead of the server's clock."),
]


def _no_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def absent(**more: Any) -> Any:
    """A field that may be left out without having a default."""
    return Field(default=None, json_schema_extra=_no_default, **more)


def read_counted(request: Request, model: BaseModel, *, version: int) -> Response:
    """The answer to a read of something whose counts change without its version: it has the ETag that changes need, and is
    never answered 304."""
    response = read(request, model)
    response.headers["etag"] = etag(version)
    return response
