"""What the API shows of people and facts."""

from collections.abc import Sequence
from datetime import date
from itertools import groupby
from typing import Literal, Self

from pydantic import Field

from services.scoring.commissions import CommissionItem
from services.scoring.inbound import TYPE_OF_KIND, Kind
from services.scoring.nothing import Level, LevelReason, Nothing
from services.scoring.readmodels import DayCountRow, Entry, EntryRow
from services.scoring.ruleset import Act, ActName, Reason
from services.scoring.service import Explained
from services.scoring.unrewardedreads import Unrewarded
from shared.http.models import AnswerModel, Identifier, Instant, PersonId

WHY = "Why it changed nothing; each reason is explained in docs/scoring.md."


class Points(AnswerModel):
    """A person's points over all communities of the organization."""

    person: PersonId
    balance: int = Field(description="The sum of points_given of the person's entries.")


class Change(AnswerModel):
    """What one fact changed, as the rule wanted it and as given."""

    act: ActName
    points_wanted: int
    points_given: int
    weight_wanted: int = Field(description="Of the day score, from which activity is computed.")
    weight_given: int
    reason: Literal["daily_cap"] | None = Field(description="Why less was given than wanted; null: as wanted.")

    @staticmethod
    def fields(entry: EntryRow) -> dict[str, object]:
        return {
            "act": Act(entry.act).label,
            "reason": None if entry.reason is None else Reason(entry.reason).label,
            **entry.model_dump(include={"points_wanted", "points_given", "weight_wanted", "weight_given"}),
        }


class EntryItem(Change):
    """A change in one person's numbers, and the fact that caused it."""

    event_id: Identifier
    type: str = Field(description="Type of the fact.", examples=["content.post-published.v1"])
    community: Identifier
    act_id: Identifier | None = Field(
        description="What was done or taken back, as a post or purchase; null for a join."
    )
    day: date = Field(description="Local day of the act, also for what takes it back.")
    ruleset: int = Field(description="Number of the ruleset version in force when the act occurred; 1: as shipped.")
    occurred_at: Instant = Field(description="Of the fact.")

    @classmethod
    def of(cls, found: Entry) -> Self:
        fact = found.fact
        return cls.model_validate(
            {
                **Change.fields(found.entry),
                "event_id": str(fact.event_id),
                "type": TYPE_OF_KIND[Kind(fact.kind)],
                "community": str(found.community),
                "act_id": None if fact.act_id is None else str(fact.act_id),
                "day": fact.act_day,
                "ruleset": fact.ruleset,
                "occurred_at": fact.occurred_at,
            }
        )


class UnrewardedItem(AnswerModel):
    """A fact about a person that changed none of the person's numbers, and why."""

    event_id: Identifier
    type: str = Field(description="Type of the fact.", examples=["content.reaction-added.v1"])
    community: Identifier
    act_id: Identifier | None = Field(description="What was done or taken back; null for joining and leaving.")
    day: date = Field(description="Local day of the act, also for what takes it back.")
    ruleset: int | None = Field(description="Version in force when the act occurred; null: there was nothing to price.")
    occurred_at: Instant = Field(description="Of the fact.")
    nothing: Nothing = Field(description=WHY)

    @classmethod
    def of(cls, found: Unrewarded, nothing: Nothing) -> Self:
        return cls(
            event_id=str(found.event_id),
            type=TYPE_OF_KIND[Kind(found.kind)],
            community=str(found.community),
            act_id=None if found.act_id is None else str(found.act_id),
            day=found.day,
            ruleset=found.ruleset,
            occurred_at=found.occurred_at,
            nothing=nothing,
        )


class LevelItem(AnswerModel):
    """What one level of the chain got by the attribution of a purchase."""

    level: int = Field(description="1: brought the buyer here; 2: brought that one.")
    person: PersonId | None = Field(description="Who stands there; null: nobody.")
    rate_basis_points: int
    wanted_minor: int = Field(description="The rate of all that was commissionable, in minor units.")
    given_minor: int
    reason: LevelReason | None = Field(description="Why less was given than wanted; null: as wanted.")

    @classmethod
    def of(cls, found: Level) -> Self:
        return cls(
            level=found.level,
            person=found.person,
            rate_basis_points=found.rate,
            wanted_minor=found.wanted,
            given_minor=found.given,
            reason=found.reason,
        )


class EventEffects(AnswerModel):
    """A fact as journaled, and what it changed."""

    event_id: Identifier
    type: str
    person: PersonId | None = Field(
        description="Whom the fact is about; null for a community, and for who only earns commission by it."
    )
    community: Identifier
    occurred_at: Instant
    recorded_at: Instant
    local_day: date
    effects: list[EntryItem] = Field(description="Empty for a fact that is worth nothing.")
    nothing: Nothing | None = Field(description=f"{WHY} Null where there are effects, or they are not the reader's.")
    commission: list[CommissionItem] = Field(description="What others earn by it, or lose again.")
    levels: list[LevelItem] = Field(
        description="Of the attribution of a purchase: what the rates wanted for each level, and what was given."
    )

    @classmethod
    def of(cls, found: Explained) -> Self:
        fact, community = found.fact, found.community.community
        entries = [] if found.entry is None else [EntryItem.of(Entry(found.entry, fact, community))]
        return cls(
            event_id=str(fact.event_id),
            type=TYPE_OF_KIND[Kind(fact.kind)],
            person=found.person,
            community=str(community),
            occurred_at=fact.occurred_at,
            recorded_at=fact.recorded_at,
            local_day=fact.local_day,
            effects=entries,
            nothing=found.nothing,
            commission=[CommissionItem.of(one) for one in found.commission],
            levels=[LevelItem.of(one) for one in found.levels],
        )


class ActCount(AnswerModel):
    """Acts of one kind on one local day."""

    act: ActName
    ruleset: int = Field(description="Number of the ruleset version in force when they occurred; 1: as shipped.")
    count: int = Field(description="Acts that stand.")
    score: int = Field(description="Their share of the day score: weight × what the daily cap leaves of the count.")


class DayScore(AnswerModel):
    """One local day of a person in a community."""

    day: date
    score: int = Field(description="Sum of the weights given.")
    acts: list[ActCount]

    @classmethod
    def of(cls, rows: Sequence[DayCountRow]) -> list[Self]:
        """Of the counts of several days, in their order."""
        days = []
        for day, group in groupby(rows, key=lambda row: row.day):
            acts = [
                ActCount.model_validate(
                    {"act": Act(row.act).label, "count": row.n, "ruleset": row.ruleset, "score": row.score}
                )
                for row in group
            ]
            days.append(cls(day=day, score=sum(act.score for act in acts), acts=acts))
        return days


class Activity(AnswerModel):
    """A person's activity in a community, with the day scores it is computed from."""

    person: PersonId
    community: Identifier
    active: bool = Field(description="Whether an active member.")
    day: date = Field(description="Local day for which the value is shown.")
    half_life_days: int
    value: float = Field(description="Sum of the day scores up to that day, each halved once per half-life.")
    days: list[DayScore] = Field(description="Scored days, newest first.")
    next: str | None = Field(description="Path and query of earlier days; null if there are none.")
