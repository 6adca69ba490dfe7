"""What the API takes and shows of rulesets."""

from typing import Annotated, Literal, Self

import msgspec
from pydantic import ConfigDict, Field, JsonValue, model_validator

from services.scoring.events import RulesetPublished
from services.scoring.readmodels import RulesetRow
from services.scoring.ruleset import DEFAULT, Act, ActName, Rule, Rules, Ruleset
from shared.http.models import AnswerModel, Identifier, Instant, RequestModel

Worth = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
Rate = Annotated[int, Field(strict=True, ge=0, le=10_000, description="Basis points: 10000 is all of it.")]

_EXAMPLE_ACTS: list[JsonValue] = [
    {"act": "post_published", "weight": 10, "points": 20, "daily_cap": 3},
    {"act": "purchase", "weight": 20, "points": 0, "minor_units_per_point": 100},
]


class NewActRule(RequestModel):
    """What one act is to be worth."""

    act: ActName
    weight: Worth = Field(description="Of activity.")
    points: Worth = Field(description="For each that counts.")
    daily_cap: Worth | None = Field(
        None, description="Acts that count per person, community and local day; null: no cap."
    )
    minor_units_per_point: Annotated[int, Field(strict=True, ge=1, le=10**12)] | None = Field(
        None, description="Only for purchases: a point more per so many minor units paid."
    )


class NewCommission(RequestModel):
    """What those who brought a buyer earn."""

    levels: list[Rate] = Field(max_length=2, description="The rate of each level; together at most 10000.")
    hold_days: Annotated[int, Field(strict=True, ge=0, le=365)] = Field(
        description="How long commission stays pending after a purchase."
    )


class NewRuleset(RequestModel):
    """A whole version: what it does not name is worth nothing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "valid_from": "2026-04-01T00:00:00Z",
                    "acts": _EXAMPLE_ACTS,
                    "commission": {"levels": [800, 200], "hold_days": 15},
                }
            ]
        }
    )

    community: Identifier | None = Field(
        None, description="For this community alone, where it replaces the organization's; null: for all."
    )
    valid_from: Instant = Field(description="In force for acts from then on; more than five minutes ahead.")
    acts: list[NewActRule] = Field(max_length=len(Act))
    commission: NewCommission

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        named = [rule.act for rule in self.acts]
        if len(named) != len(set(named)):
            raise ValueError("name each act once")
        if any(rule.minor_units_per_point is not None and rule.act != "purchase" for rule in self.acts):
            raise ValueError("minor_units_per_point is for purchases only")
        if sum(self.commission.levels) > 10_000:
            raise ValueError("commission of all levels together is at most 10000 basis points")
        return self

    def rules(self) -> Rules:
        return Rules(
            acts={rule.act: Rule(**rule.model_dump(exclude={"act"})) for rule in self.acts},
            commission_basis_points=list(self.commission.levels),
            commission_hold_days=self.commission.hold_days,
        )


class ActRule(AnswerModel):
    """What one act is worth."""

    act: ActName
    weight: int
    points: int
    daily_cap: int | None = Field(description="Acts that count per person, community and local day; null: no cap.")
    minor_units_per_point: int | None = Field(description="For acts with money: a point per so many minor units.")


class RulesetVersion(AnswerModel):
    """A version of a ruleset."""

    ruleset: int = Field(description="Its number, as entries and counts name it.")
    of: Literal["shipped", "organization", "community"] = Field(description="Whose version it is.")
    community: Identifier | None = Field(description="For which it was published; null: for all communities.")
    version: int = Field(description="From 1, per organization or community.")
    valid_from: Instant | None = Field(description="Null: from the beginning of time.")
    acts: list[ActRule]
    commission_basis_points: list[int] = Field(description="The rate of each level.")
    commission_hold_days: int = Field(description="How long commission stays pending after a purchase.")
    published_by: str | None = Field(description="Person or machine; null: shipped.")

    @classmethod
    def shipped(cls) -> Self:
        """The default."""
        return cls._of(DEFAULT, None, None)

    @classmethod
    def of_fact(cls, fact: RulesetPublished) -> Self:
        """As decided."""
        ruleset = Ruleset.of(fact.ruleset, fact.version, fact.valid_from, fact.rules)
        return cls._of(ruleset, fact.community, fact.published_by)

    @classmethod
    def of_row(cls, row: RulesetRow) -> Self:
        """As read."""
        rules = msgspec.convert(row.rules, Rules)
        community = None if row.community is None else str(row.community)
        return cls._of(Ruleset.of(row.ruleset, row.version, row.valid_from, rules), community, row.published_by)

    @classmethod
    def _of(cls, ruleset: Ruleset, community: str | None, published_by: str | None) -> Self:
        whose = "shipped" if published_by is None else "organization" if community is None else "community"
        return cls.model_validate(
            {
                "ruleset": ruleset.number,
                "of": whose,
                "community": community,
                "version": ruleset.version,
                "valid_from": ruleset.valid_from,
                "acts": [
                    {
                        "act": act.label,
                        "weight": rule.weight,
                        "points": rule.points,
                        "daily_cap": rule.daily_cap,
                        "minor_units_per_point": rule.minor_units_per_point,
                    }
                    for act, rule in ruleset.rules.items()
                ],
                "commission_basis_points": list(ruleset.commission_basis_points),
                "commission_hold_days": ruleset.commission_hold_days,
                "published_by": published_by,
            }
        )
