"""A reaction."""

from typing import Self

from pydantic import Field

from services.content import events
from services.content.resources.examples import AT, POST, example
from shared.http.models import AnswerModel, Identifier, Instant, PersonId


class Reaction(AnswerModel):
    """A reaction of a person to a post or comment."""

    model_config = example(
        id="0193a5b2-0c11-7d0e-8a55-5a0b6a3a9c04",
        target_kind="post",
        target=POST,
        person="cai",
        kind="like",
        counts=True,
        occurred_at=AT,
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
