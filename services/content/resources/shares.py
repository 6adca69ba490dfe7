"""A share."""

from typing import Self

from pydantic import Field

from services.content import events, tallies
from services.content.readmodels import ShareRow
from services.content.resources.examples import AT, COMMUNITY, POST, example
from services.content.tallies import Counts
from shared.http.models import AnswerModel, Identifier, Instant, PersonId


class Share(AnswerModel):
    """A share, with what came of it."""

    model_config = example(
        id="0193a5b2-0c11-7d0e-8a55-5a0b6a3a9c05",
        code="5R8T2W4Z",
        link="https://qunli.example/s/5R8T2W4Z",
        community=COMMUNITY,
        sharer="bo",
        target_kind="post",
        target=POST,
        channel="wechat-moments",
        parent="7K3M9Q2X",
        occurred_at=AT,
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
