"""What the API shows of a community, a member, an invitation: the same shape in a command's answer and in a read."""

from datetime import datetime
from typing import Literal, Self

from pydantic import ConfigDict, Field

from services.membership import community, invitation, member
from services.membership.readmodels import Binding, CommunityRow, InvitationRow, MemberRow
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
                    "landing_url": "https://acme.example/early-risers",
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
    landing_url: str | None = Field(description="Where short links and invitations lead.")
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
            owner=state.owner,
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
            landing_url=charter.landing_url,
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
                roles, joined_at, left_at = list(state.roles), fact.occurred_at, None
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


class Invitation(AnswerModel):
    """An invitation to a community. Its ETag, in the answer that made it, is its version."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "code": "7H3K9QWX",
                    "community": "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10",
                    "inviter": "bo",
                    "max_uses": 20,
                    "uses": 3,
                    "expires_at": "2026-04-01T00:00:00.000000Z",
                    "usable": True,
                    "created_at": "2026-03-01T10:00:00.000000Z",
                    "version": 4,
                }
            ]
        }
    )

    code: str = Field(description="Eight characters of Crockford's base 32.")
    community: Identifier
    inviter: PersonId
    max_uses: int | None = Field(description="Joins at most; null: no limit.")
    uses: int
    expires_at: Instant | None = Field(description="null: never.")
    usable: bool = Field(description="Neither expired nor used up, when it was read.")
    created_at: Instant
    version: int

    @classmethod
    def of(cls, state: invitation.State, *, now: datetime) -> Self:
        """As decided."""
        assert isinstance(state, invitation.Invitation)
        created = state.created
        return cls(
            code=created.invitation,
            community=created.community,
            inviter=created.inviter,
            max_uses=created.max_uses,
            uses=state.uses,
            expires_at=created.expires_at,
            usable=_usable(created.max_uses, state.uses, created.expires_at, now),
            created_at=created.occurred_at,
            version=1,
        )

    @classmethod
    def of_row(cls, row: InvitationRow, *, now: datetime) -> Self:
        """As read."""
        return cls(
            community=str(row.community),
            usable=_usable(row.max_uses, row.uses, row.expires_at, now),
            **row.model_dump(exclude={"community", "organization"}),
        )


def _usable(max_uses: int | None, uses: int, expires_at: datetime | None, now: datetime) -> bool:
    return not (invitation.expired(expires_at, now) or invitation.used_up(max_uses, uses))


class Referral(AnswerModel):
    """Who brought a person into the organization."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"person": "bo", "referral": "bound", "referrer": "ana", "since": "2026-03-01T10:00:00.000000Z"}
            ]
        }
    )

    person: PersonId
    referral: Literal["none", "bound", "pending"] = Field(
        description="pending: a share code is not known yet; it is settled within moments."
    )
    referrer: PersonId | None = Field(description="null unless bound.")
    since: Instant | None = Field(description="When the join that bound was recorded.")

    @classmethod
    def of(cls, person: str, binding: Binding) -> Self:
        if binding.referrer is not None:
            return cls(person=person, referral="bound", referrer=binding.referrer, since=binding.since)
        return cls(person=person, referral="pending" if binding.pending else "none", referrer=None, since=None)


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
