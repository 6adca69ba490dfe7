"""What the API shows: the same shape in a command's answer and in a read."""

from typing import Any, Self

from pydantic import ConfigDict, Field

from services.content import comment, events, post, tallies
from services.content.readmodels import CommentRow, PostRow, ShareRow
from services.content.tallies import Counts
from shared.http.models import AnswerModel, Identifier, Instant, PersonId

_COMMUNITY = "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10"
_POST = "0193a5b1-0c11-7d0e-8a55-5a0b6a3a9c01"
_COMMENT = "0193a5b2-0c11-7d0e-8a55-5a0b6a3a9c02"
_AT = "2026-03-01T17:30:00.123456Z"

ReactionCounts = dict[str, int]
"""By kind; a kind that nobody has chosen is missing."""


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


def _reactions(counts: Counts) -> ReactionCounts:
    return {kind: number for kind, number in sorted(counts.items()) if kind != tallies.COMMENTS}


class Post(AnswerModel):
    """A post. Its ETag is its version; what is counted of it changes without one."""

    model_config = _example(
        id=_POST,
        community=_COMMUNITY,
        author="bo",
        kind="review",
        title="Three pairs later",
        body="Light, and dry after an hour of rain.",
        media=[],
        topics=["shoes"],
        rating=5,
        occurred_at=_AT,
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
            reactions=_reactions(counts),
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
            reactions=_reactions(counts),
            **row.model_dump(exclude={"post", "community", "organization", "removed_at", "hidden_at"}),
        )


class PostVersion(AnswerModel):
    """What an author wrote, once."""

    model_config = _example(
        version=1,
        author="bo",
        title="Three pairs later",
        body="Light, and dry after rain.",
        media=[],
        topics=["shoes"],
        rating=4,
        occurred_at=_AT,
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


class Comment(AnswerModel):
    """A comment, or the place of a removed one. Its ETag is its version; what is counted of it changes without one."""

    model_config = _example(
        id=_COMMENT,
        community=_COMMUNITY,
        post=_POST,
        author="cai",
        floor=3,
        parent="0193a5b2-0c11-7d0e-8a55-5a0b6a3a9c03",
        body="So do I.",
        occurred_at=_AT,
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
            reactions=_reactions(counts),
            version=row.version,
        )


class Reaction(AnswerModel):
    """A reaction of a person to a post or comment."""

    model_config = _example(
        id="0193a5b2-0c11-7d0e-8a55-5a0b6a3a9c04",
        target_kind="post",
        target=_POST,
        person="cai",
        kind="like",
        counts=True,
        occurred_at=_AT,
    )

    id: Identifier
    target_kind: str
    target: Identifier
    person: PersonId
    kind: str
    counts: bool = Field(description="False for a reaction to something of one's own: it has no effect.")
    occurred_at: Instant

    @classmethod
    def of(cls, fact: events.ReactionAdded) -> Self:
        return cls(
            id=fact.reaction,
            target_kind=fact.target_kind,
            target=fact.target,
            person=fact.person,
            kind=fact.kind,
            counts=fact.counts,
            occurred_at=fact.occurred_at,
        )


class Share(AnswerModel):
    """A share, with what came of it."""

    model_config = _example(
        id="0193a5b2-0c11-7d0e-8a55-5a0b6a3a9c05",
        code="5R8T2W4Z",
        link="https://qunli.example/s/5R8T2W4Z",
        community=_COMMUNITY,
        sharer="bo",
        target_kind="post",
        target=_POST,
        channel="wechat-moments",
        parent="7K3M9Q2X",
        occurred_at=_AT,
        visits=12,
        children=2,
    )

    id: Identifier
    code: str
    link: str = Field(description="The short link: for everybody, without a token.")
    community: Identifier
    sharer: PersonId
    target_kind: str
    target: str
    channel: str
    parent: str | None = Field(description="Code of the share through which the sharer came.")
    occurred_at: Instant
    visits: int = Field(description="How many count.")
    children: int = Field(description="How many shares hang directly below this one.")

    @classmethod
    def of(cls, fact: events.ContentShared, *, site: str) -> Self:
        """As decided."""
        return cls(
            id=fact.share,
            code=fact.code,
            link=short_link(site, fact.code),
            community=fact.community,
            sharer=fact.sharer,
            target_kind=fact.target_kind,
            target=fact.target,
            channel=fact.channel,
            parent=fact.parent,
            occurred_at=fact.occurred_at,
            visits=0,
            children=0,
        )

    @classmethod
    def of_row(cls, row: ShareRow, counts: Counts, *, site: str) -> Self:
        """As read."""
        return cls(
            id=str(row.share),
            code=row.code,
            link=short_link(site, row.code),
            community=str(row.community),
            sharer=row.sharer,
            target_kind=row.target_kind,
            target=row.target,
            channel=row.channel,
            parent=row.parent,
            occurred_at=row.occurred_at,
            visits=counts.get(tallies.VISITS, 0),
            children=counts.get(tallies.CHILDREN, 0),
        )


def short_link(site: str, code: str) -> str:
    """Where a share is opened."""
    return f"{site}/s/{code}"
