"""What the API shows of a post: the same shape in a command's answer and in a read."""

from typing import Self

from pydantic import Field

from services.content import post
from services.content.readmodels import PostRow
from shared.http.models import AnswerModel, Identifier, Instant, PersonId


class Post(AnswerModel):
    """A post. Its ETag is its version."""

    id: Identifier
    community: Identifier
    author: PersonId
    kind: str
    title: str | None
    body: str
    media: list[str]
    topics: list[str]
    occurred_at: Instant
    edited_at: Instant | None
    version: int = Field(description="As in the ETag.")

    @classmethod
    def of(cls, state: post.Published, version: int) -> Self:
        """As decided."""
        published, draft = state.published, state.draft
        return cls(
            id=published.post,
            community=published.community,
            author=published.author,
            kind=published.kind,
            title=draft.title,
            body=draft.body,
            media=list(draft.media),
            topics=list(draft.topics),
            occurred_at=published.occurred_at,
            edited_at=state.edited_at,
            version=version,
        )

    @classmethod
    def of_row(cls, row: PostRow) -> Self:
        """As read."""
        return cls(
            id=str(row.post),
            community=str(row.community),
            **row.model_dump(exclude={"post", "community", "organization", "removed_at"}),
        )
