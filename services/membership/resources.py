"""What the API shows of a community and of a member: the same shape in a command's answer and in a read."""

from typing import Literal, Self

from pydantic import ConfigDict, Field

from services.membership import community, member
from services.membership.readmodels import CommunityRow, MemberRow
from services.membership.rulebook import RULEBOOKS
from shared.http.models import AnswerModel, Currency, Identifier, Instant, PersonId, Zone


class Community(AnswerModel):
    """A community. Its ETag is its version."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10",
                    "organization": "acme",
                    "owner": "ana",
                    "name": "Early risers",
                    "affinity": "We run before work.",
                    "purpose": "acquisition",
                    "kind": "general",
                    "tags": ["sport"],
                    "zone": "Asia/Shanghai",
                    "currency": "CNY",
                    "capacity": 200,
                    "entry": ["open"],
                    "launch_base": 1,
                    "probation_days": 7,
                    "rulebook": "default",
                    "status": "launched",
                    "founded_at": "2026-03-01T09:00:00.000000Z",
                    "launched_at": "2026-03-01T09:30:00.000000Z",
                    "version": 2,
                }
            ]
        }
    )

    id: Identifier
    organization: str
    owner: PersonId
    name: str
    affinity: str = Field(description="What its members have in common.")
    purpose: str
    kind: str
    tags: list[str]
    zone: Zone
    currency: Currency
    capacity: int | None = Field(description="Active members at most, the owner among them; null: no limit.")
    entry: list[str]
    launch_base: int = Field(description="Members needed for the launch, the owner among them.")
    probation_days: int
    rulebook: str
    status: Literal["draft", "launched"]
    founded_at: Instant
    launched_at: Instant | None
    version: int = Field(description="As in the ETag.")

    @classmethod
    def of(cls, state: community.Community, version: int) -> Self:
        """As decided."""
        founded, charter = state.founded, state.founded.charter
        return cls(
            id=founded.community,
            organization=founded.organization,
            owner=founded.owner,
            name=charter.name,
            affinity=charter.affinity,
            purpose=charter.purpose,
            kind=charter.kind,
            tags=list(charter.tags),
            zone=charter.zone,
            currency=charter.currency,
            capacity=charter.capacity,
            entry=list(charter.entry),
            launch_base=charter.launch_base,
            probation_days=charter.probation_days,
            rulebook=founded.rulebook,
            status=state.status.value,
            founded_at=founded.occurred_at,
            launched_at=state.launched_at,
            version=version,
        )

    @classmethod
    def of_row(cls, row: CommunityRow) -> Self:
        """As read."""
        return cls(
            id=str(row.community),
            status="draft" if row.launched_at is None else "launched",
            **row.model_dump(exclude={"community"}),
        )


class Member(AnswerModel):
    """A person in a community. Its ETag is its version."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "community": "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10",
                    "person": "bo",
                    "status": "left",
                    "roles": [],
                    "first_in_community": True,
                    "joined_at": "2026-03-01T10:00:00.000000Z",
                    "left_at": "2026-03-04T20:15:00.000000Z",
                    "version": 2,
                }
            ]
        }
    )

    community: Identifier
    person: PersonId
    status: Literal["active", "left"]
    roles: list[str] = Field(description="Empty for somebody who left.")
    first_in_community: bool = Field(description="False for somebody who returned.")
    joined_at: Instant
    left_at: Instant | None
    version: int = Field(description="As in the ETag.")

    @classmethod
    def of(cls, state: member.Active | member.Left, version: int) -> Self:
        """As decided."""
        match state:
            case member.Active(joined=fact):
                roles, joined_at, left_at = list(fact.roles), fact.occurred_at, None
            case member.Left(left=fact):
                roles, joined_at, left_at = [], fact.joined_at, fact.occurred_at
        return cls(
            community=fact.community,
            person=fact.person,
            status="active" if left_at is None else "left",
            roles=roles,
            first_in_community=fact.first_in_community,
            joined_at=joined_at,
            left_at=left_at,
            version=version,
        )

    @classmethod
    def of_row(cls, row: MemberRow) -> Self:
        """As read."""
        return cls(
            community=str(row.community),
            status="active" if row.left_at is None else "left",
            **row.model_dump(exclude={"community", "organization"}),
        )


class Rule(AnswerModel):
    """One rule of a rulebook."""

    about: Literal["entry", "speech", "hours", "honour", "rewards", "penalties", "content"]
    text: str


class Rulebook(AnswerModel):
    """What a member accepts by joining."""

    rulebook: str
    rules: list[Rule]

    @classmethod
    def of_name(cls, name: str) -> Self:
        return cls(rulebook=name, rules=[Rule.model_validate(rule._asdict()) for rule in RULEBOOKS[name]])
