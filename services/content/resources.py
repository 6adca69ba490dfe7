"""What the API shows of a post: the same shape in a command's answer and in a read."""

from typing import Self

from pydantic import ConfigDict, Field

from services.content import post
from services.content.readmodels import PostRow
from shared.http.models import AnswerModel, Identifier, Instant, PersonId


class Post(AnswerModel):
    """A post. Its ETag is its version."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0193a5b1-0c11-7d0e-8a55-5a0b6a3a9c01",
                    "community": "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10",
                    "author": "bo",
                    "kind": "text",
                    "title": "Six o'clock",
                    "body": "Who runs tomorrow?",
                    "media": [],
                    "topics": ["running"],
                    "occurred_at": "2026-03-01T17:30:00.123456Z",
                    "edited_at": "2026-03-01T18:00:00.654321Z",
                    "version": 2,
                }
            ]
        }
    )

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
