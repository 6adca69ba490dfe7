"""A comment."""

from typing import Self

from pydantic import Field

from services.content import comment
from services.content.readmodels import CommentRow
from services.content.resources.counts import ReactionCounts, reactions_in
from services.content.resources.examples import AT, COMMENT, COMMUNITY, POST, example
from services.content.tallies import Counts
from shared.http.models import AnswerModel, Identifier, Instant, PersonId


class Comment(AnswerModel):
    """A comment, or the place of a removed one. Its ETag is its version; what is counted of it changes without one."""

    model_config = example(
        id=COMMENT,
        community=COMMUNITY,
        post=POST,
        author="cai",
        floor=3,
        parent="0193a5b2-0c11-7d0e-8a55-5a0b6a3a9c03",
        body="So do I.",
        occurred_at=AT,
        removed=False,
        reactions={"thanks": 1},
        version=1,
    )

    id: Identifier
    community: Identifier
    post: Identifier
    author: PersonId
    floor: int = Field(description="Its number on the post: 1, 2, 3 … without gaps, never used again.")
    parent: Identifier | None = Field(description="The comment it replies to.")
    body: str | None = Field(description="Null where it was removed.")
    occurred_at: Instant
    removed: bool
    reactions: ReactionCounts = Field(description="How many stand and count, by kind.")
    version: int = Field(description="As in the ETag.")

    @classmethod
    def of(cls, state: comment.Comment, *, version: int) -> Self:
        """As decided: it has just been added."""
        added = state.added
        return cls(
            id=added.comment,
            community=added.community,
            post=added.post,
            author=added.author,
            floor=added.floor,
            parent=added.parent,
            body=added.body,
            occurred_at=added.occurred_at,
            removed=False,
            reactions={},
            version=version,
        )

    @classmethod
    def of_row(cls, row: CommentRow, counts: Counts) -> Self:
        """As read."""
        removed = row.removed_at is not None
        return cls(
            id=str(row.comment),
            community=str(row.community),
            post=str(row.post),
            author=row.author,
            floor=row.floor,
            parent=str(row.parent) if row.parent is not None else None,
            body=None if removed else row.body,
            occurred_at=row.occurred_at,
            removed=removed,
            reactions=reactions_in(counts),
            version=row.version,
        )
