"""Granting and revoking roles, and what a transfer of the ownership does to both members."""

from functools import partial
from typing import Any

import pytest

from services.membership.member import FOLD
from services.membership.roles import ChangeRole, give_up, grant, revoke, take_over
from shared.errors import Forbidden, NotFound
from shared.permissions import Role
from tests.membership.facts import NOW, OPEN, TRANSFERRED, granted, joined, left, revoked
from tests.support.gwt import given

ADMIN = granted("bo", "admin", "admin", "member")


def by(*roles: str, person: str = "ana") -> ChangeRole:
    return ChangeRole(role=Role.ADMIN, by=person, roles=roles, now=NOW)


OWNER = by("owner", "member")


def test_the_owner_makes_a_member_an_admin() -> None:
    given(FOLD, joined()).when(lambda state: grant(OWNER, OPEN, state)).then(ADMIN)


def test_granting_twice_changes_nothing() -> None:
    given(FOLD, joined(), ADMIN).when(lambda state: grant(OWNER, OPEN, state)).then_nothing_happens()


def test_the_owner_takes_the_role_again() -> None:
    admin = given(FOLD, joined(), ADMIN)
    admin.when(lambda state: revoke(OWNER, OPEN, state)).then(revoked("bo", "admin", "member"))
    given(FOLD, joined(), ADMIN, revoked("bo", "admin", "member")).when(
        lambda state: revoke(OWNER, OPEN, state)
    ).then_nothing_happens()


@pytest.mark.parametrize("change", [grant, revoke])
def test_nobody_changes_roles_at_or_above_the_own_rank(change: Any) -> None:
    for roles, reason in ((("admin", "member"), "role-missing"), (("member",), "role-missing"), ((), "not-a-member")):
        command = by(*roles, person="cy")
        given(FOLD, joined()).when(partial(change, command, OPEN)).then_refused(Forbidden, reason)


@pytest.mark.parametrize("change", [grant, revoke])
@pytest.mark.parametrize("facts", [[], [joined(), left()]])
def test_only_an_active_member_has_roles(change: Any, facts: list[Any]) -> None:
    given(FOLD, *facts).when(lambda state: change(OWNER, OPEN, state)).then_refused(NotFound, "member-not-found")


def test_the_previous_owner_becomes_an_admin() -> None:
    owner = joined("ana", roles=("owner", "member"))
    given(FOLD, owner).when(lambda state: give_up(TRANSFERRED, state)).then(
        revoked("ana", "owner", "member"), granted("ana", "admin", "admin", "member")
    )
    both = given(FOLD, owner, granted("ana", "admin", "owner", "admin", "member"))
    both.when(lambda state: give_up(TRANSFERRED, state)).then(revoked("ana", "owner", "admin", "member"))


def test_the_new_owner_keeps_its_other_roles() -> None:
    given(FOLD, joined()).when(lambda state: take_over(TRANSFERRED, state)).then(
        granted("bo", "owner", "owner", "member")
    )
    given(FOLD, joined(), ADMIN).when(lambda state: take_over(TRANSFERRED, state)).then(
        granted("bo", "owner", "owner", "admin", "member")
    )


def test_nobody_takes_over_who_is_not_there() -> None:
    given(FOLD, joined(), left()).when(lambda state: take_over(TRANSFERRED, state)).then_refused(
        NotFound, "member-not-found"
    )
