"""A post, and what it said before."""

from typing import Self

from pydantic import Field

from services.content import events, post, tallies
from services.content.readmodels import PostRow
from services.content.resources.counts import ReactionCounts, reactions_in
from services.content.resources.examples import AT, COMMUNITY, POST, example
from services.content.tallies import Counts
from shared.http.models import AnswerModel, Identifier, Instant, PersonId


class Post(AnswerModel):
    """A post. Its ETag is its version; what is counted of it changes without one."""

    model_config = example(
        id=POST,
        community=COMMUNITY,
        author="bo",
        kind="review",
        title="Three pairs later",
        body="Light, and dry after an hour of rain.",
        media=[],
        topics=["shoes"],
        rating=5,
        occurred_at=AT,
        edited_at="2026-03-01T18:00:00.654321Z",
        removed=False,
        hidden=False,
        comments=3,
        reactions={"like": 2},
        version=2,
    )

    id: Identifier
    community: Identifier
    author: PersonId
    kind: str
    title: str | None
    body: str
    media: list[str]
    topics: list[str]
    rating: int | None = Field(description="1 to 5, of a review.")
    occurred_at: Instant
    edited_at: Instant | None
    removed: bool
    hidden: bool
    comments: int = Field(description="How many stand.")
    reactions: ReactionCounts = Field(description="How many stand and count, by kind.")
    version: int = Field(description="As in the ETag.")

    @classmethod
    def of(cls, state: post.Post, *, version: int, counts: Counts) -> Self:
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
            rating=draft.rating,
            occurred_at=published.occurred_at,
            edited_at=state.edited_at,
            removed=state.removed_by is not None,
            hidden=state.hidden_by is not None,
            comments=counts.get(tallies.COMMENTS, 0),
            reactions=reactions_in(counts),
            version=version,
        )

    @classmethod
    def of_row(cls, row: PostRow, counts: Counts) -> Self:
        """As read."""
        return cls(
            id=str(row.post),
            community=str(row.community),
            removed=row.removed_at is not None,
            hidden=row.hidden_at is not None,
            comments=counts.get(tallies.COMMENTS, 0),
            reactions=reactions_in(counts),
            **row.model_dump(exclude={"post", "community", "organization", "removed_at", "hidden_at"}),
        )


class PostVersion(AnswerModel):
    """What an author wrote, once."""

    model_config = example(
        version=1,
        author="bo",
        title="Three pairs later",
        body="Light, and dry after rain.",
        media=[],
        topics=["shoes"],
        rating=4,
        occurred_at=AT,
    )

    version: int = Field(description="Removing and hiding count as versions too, and are not listed.")
    author: PersonId
    title: str | None
    body: str
    media: list[str]
    topics: list[str]
    rating: int | None
    occurred_at: Instant

    @classmethod
    def of(cls, fact: events.PostPublished | events.PostEdited, version: int) -> Self:
        draft = fact.draft
        return cls(
            version=version,
            author=fact.author,
            title=draft.title,
            body=draft.body,
            media=list(draft.media),
            topics=list(draft.topics),
            rating=draft.rating,
            occurred_at=fact.occurred_at,
        )
