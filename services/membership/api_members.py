"""Membership over HTTP: the members of a community, their roles, and who brought a person."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, TypeAlias, cast

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field, StringConstraints

from services.membership import events, resources
from services.membership.joining import Asked
from services.membership.parameters import CommunityId, PathPerson, Service, StatedInstant, TypedCode
from shared.http.answers import read, respond
from shared.http.callers import AnyCaller, PersonCaller, named, reading_person
from shared.http.consistency import ConsistencyTokens
from shared.http.idempotency import Idempotency
from shared.http.models import RequestModel
from shared.http.pages import Page, PageOf, decode_cursor
from shared.http.problems import problems
from shared.http.routes import service_router
from shared.permissions import Role

members = service_router(prefix="/v1/communities/{community}/members", tags=["members"])
people = service_router(prefix="/v1/people", tags=["people"])

Place: TypeAlias = tuple[Annotated[datetime, msgspec.Meta(tz=True)], str]


class Touchpoint(RequestModel):
    """How somebody came."""

    layer: Literal["official", "owned", "touchpoint"]
    channel: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]
    scene: Literal["mass_gathering", "outdoor", "consumption", "mobile", "terminal_media", "word_of_mouth"]
    space: Literal["digital", "physical"]


class NewMember(RequestModel):
    """How somebody joins."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {},
                {
                    "invitation": "7H3K9QWX",
                    "touchpoint": {
                        "layer": "touchpoint",
                        "channel": "flyer",
                        "scene": "outdoor",
                        "space": "physical",
                    },
                },
                {"share_code": "2Q8ZM4TC"},
                {"occurred_at": "2010-07-28T19:04:21Z"},
            ]
        }
    )

    invitation: TypedCode | None = Field(None, description="Code of an invitation to this community.")
    share_code: TypedCode | None = Field(
        None, description="Code of a share, of any community of the organization. Not together with an invitation."
    )
    touchpoint: Touchpoint | None = None
    occurred_at: StatedInstant = None

    def asked(self) -> Asked:
        touchpoint = msgspec.convert(self.touchpoint, events.Touchpoint | None, from_attributes=True)
        return Asked(self.invitation, self.share_code, touchpoint, self.occurred_at)


class NewRole(RequestModel):
    """A role to grant."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "admin"}]})

    role: Literal["admin"] = Field(description="The ownership is passed on by `transferOwnership`.")


@members.post(
    "",
    operation_id="joinCommunity",
    summary="Join a community, or return to it",
    status_code=201,
    response_model=resources.Member,
    responses={
        200: {"model": resources.Member, "description": "An active member already; nothing changes."},
        **problems(401, 403, 404, 409, 503),
    },
)
async def join_community(
    service: Service,
    caller: PersonCaller,
    key: Idempotency,
    _: ConsistencyTokens,
    community: CommunityId,
    body: NewMember | None = None,
) -> Response:
    """The caller joins, or, with the header `Acting-Person`, the person an import acts for.

    The owner of the code is the inviter, and becomes the person's referrer in the organization, for good, if it has none
    yet. A draft, and a community whose entry is `invitation`, are joined with an invitation only."""
    done = await service.join(
        community,
        Asked() if body is None else body.asked(),
        organization=caller.organization,
        person=caller.person,
        importing=caller.importing,
        key=key,
    )
    return respond(done)


@members.get(
    "",
    operation_id="listMembers",
    summary="List the active members",
    response_model=PageOf[resources.Member],
    responses=problems(400, 401, 403, 404),
)
async def list_members(
    service: Service, caller: AnyCaller, community: CommunityId, page: Page, _: ConsistencyTokens, request: Request
) -> Response:
    """By the time they joined. For active members, and for machines with scope `import`."""
    after = decode_cursor(page.after, cast("type[Place]", Place)) if page.after is not None else None
    rows = await service.members(
        community,
        organization=caller.organization,
        reading=reading_person(caller),
        after=after,
        limit=page.limit + 1,
    )
    shown, following = page.cut(rows, lambda one: (one.joined_at, one.person))
    items = [resources.Member.of_row(row) for row in shown]
    return read(request, PageOf[resources.Member](items=items, next=following))


@members.get(
    "/{person:path}",
    operation_id="getMember",
    summary="Read one membership",
    response_model=resources.Member,
    responses=problems(401, 403, 404),
)
async def get_member(
    service: Service,
    caller: AnyCaller,
    community: CommunityId,
    person: PathPerson,
    _: ConsistencyTokens,
    request: Request,
) -> Response:
    """The own one, also after leaving; others' for active members and for machines with scope `import`."""
    person = named(caller, person)
    row = await service.member(community, person, organization=caller.organization, reading=reading_person(caller))
    return read(request, resources.Member.of_row(row), version=row.version)


@members.post(
    "/me/leave",
    operation_id="leaveCommunity",
    summary="Leave a community",
    response_model=resources.Member,
    responses=problems(401, 403, 404, 409, 503),
)
async def leave_community(
    service: Service, caller: PersonCaller, key: Idempotency, _: ConsistencyTokens, community: CommunityId
) -> Response:
    """The place is free again at once. Leaving twice changes nothing; the owner cannot leave."""
    done = await service.leave(community, organization=caller.organization, person=caller.person, key=key)
    return respond(done)


@members.post(
    "/{person:path}/roles",
    operation_id="grantRole",
    summary="Grant a role",
    response_model=resources.Member,
    responses=problems(401, 403, 404, 409, 503),
)
async def grant_role(
    service: Service,
    caller: PersonCaller,
    key: Idempotency,
    _: ConsistencyTokens,
    community: CommunityId,
    person: PathPerson,
    body: NewRole,
) -> Response:
    """By who has the right, see the table of permissions. Granting a role that the member has changes nothing."""
    done = await service.staff.grant(
        community, named(caller, person), Role(body.role), organization=caller.organization, by=caller.person, key=key
    )
    return respond(done)


@members.delete(
    "/{person:path}/roles/{role}",
    operation_id="revokeRole",
    summary="Revoke a role",
    response_model=resources.Member,
    responses=problems(401, 403, 404, 503),
)
async def revoke_role(
    service: Service,
    caller: PersonCaller,
    _: ConsistencyTokens,
    community: CommunityId,
    person: PathPerson,
    role: Literal["admin"],
) -> Response:
    """By who has the right, see the table of permissions. Revoking a role that the member does not have changes nothing."""
    person = named(caller, person)
    done = await service.staff.revoke(community, person, Role(role), organization=caller.organization, by=caller.person)
    return respond(done)


@people.get(
    "/{person:path}/referral",
    operation_id="getReferral",
    summary="Read who brought a person into the organization",
    response_model=resources.Referral,
    responses=problems(401, 403),
)
async def get_referral(
    service: Service, caller: AnyCaller, person: PathPerson, _: ConsistencyTokens, request: Request
) -> Response:
    """The own one; anybody's for machines with scope `import`."""
    person = named(caller, person)
    binding = await service.referral(person, organization=caller.organization, reading=reading_person(caller))
    return read(request, resources.Referral.of(person, binding))


ROUTERS: Sequence[APIRouter] = (members, people)
