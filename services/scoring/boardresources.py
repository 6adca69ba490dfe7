"""What the API shows of leaderboards."""

from typing import Annotated, Self

from pydantic import Field

from services.scoring.leaderboards import Place, Valued
from shared.http.models import AnswerModel, Instant, PersonId

BoardCurrency = Annotated[
    str | None,
    Field(description="ISO 4217 code; left out where the value is no money.", exclude_if=lambda code: code is None),
]


class BoardItem(AnswerModel):
    """A member on a leaderboard."""

    rank: int = Field(description="Competition rank: 1, 2, 2, 4. Equal members are listed by person.")
    person: PersonId
    value: float | int = Field(
        description="Points; or commission in minor units; or the activity at the local day asked for (6 decimals)."
    )
    currency: BoardCurrency = None

    @classmethod
    def of(cls, one: Valued) -> Self:
        return cls(rank=one.placed.rank, person=one.placed.person, value=one.value, currency=one.currency)


class BoardPlace(AnswerModel):
    """One member's place on a leaderboard."""

    person: PersonId
    rank: int | None = Field(description="Null while the member has no score by this metric, and so is not listed.")
    value: float | int
    currency: BoardCurrency = None
    neighbours: list[BoardItem] = Field(description="Up to two members above, the member, up to two below.")

    @classmethod
    def of(cls, person: str, place: Place) -> Self:
        neighbours = [BoardItem.of(one) for one in place.view]
        own = next((item for item in neighbours if item.person == person), None)
        return cls(
            person=person,
            rank=place.rank,
            value=place.value,
            currency=own.currency if own is not None else None,
            neighbours=neighbours,
        )


class BoardSnapshot(AnswerModel):
    """The first members of a leaderboard, and the reader's own place as it is now."""

    items: list[BoardItem]
    me: BoardPlace | None = Field(description="Null for machines, and for who is no active member.")


class BoardChange(AnswerModel):
    """The first members of a leaderboard, which are others than before or stand otherwise."""

    items: list[BoardItem]


class StreamTicket(AnswerModel):
    """Opens one stream, once."""

    ticket: str
    stream: str = Field(description="Path and query that it opens.")
    expires_at: Instant
