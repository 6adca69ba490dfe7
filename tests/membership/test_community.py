"""Founding and launching."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from services.membership.community import FOLD, Found, Launch, Transfer, found, known, launch, transfer
from services.membership.events import Charter, CommunityFounded
from shared.errors import Conflict, Forbidden, Invalid, NotFound
from tests.membership.facts import CHARTER, FOUNDED, FOUNDED_AT, LAUNCHED, NOW, RUNNERS, TRANSFERRED, charter
from tests.support.gwt import given


def founding(charter: Charter = CHARTER) -> Found:
    return Found(
        organization="acme",
        community=RUNNERS,
        founder="ana",
        charter=charter,
        occurred_at=None,
        importing=False,
        now=FOUNDED_AT,
    )


def launching(**changes: Any) -> Launch:
    return msgspec.structs.replace(
        Launch(organization="acme", person="ana", roles=("owner", "member"), members=1, now=NOW), **changes
    )


def founded_with(**changes: Any) -> CommunityFounded:
    return msgspec.structs.replace(FOUNDED, charter=charter(**changes))


def test_a_community_is_founded_with_the_default_rulebook() -> None:
    given(FOLD).when(lambda state: found(founding(), state)).then(FOUNDED)


def test_an_import_states_when_a_community_was_founded() -> None:
    long_ago = datetime(2010, 7, 28, 17, 0, tzinfo=UTC)
    command = msgspec.structs.replace(founding(), occurred_at=long_ago, importing=True)
    given(FOLD).when(lambda state: found(command, state)).then(
        msgspec.structs.replace(FOUNDED, occurred_at=long_ago, local_day=date(2010, 7, 29))
    )
    stated = msgspec.structs.replace(founding(), occurred_at=long_ago)
    given(FOLD).when(lambda state: found(stated, state)).then_refused(Forbidden, "occurred-at-not-allowed")


def test_founding_what_stands_changes_nothing() -> None:
    given(FOLD, FOUNDED).when(lambda state: found(founding(), state)).then_nothing_happens()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "flash"}, "kind-not-offered"),
        ({"kind": "flash_sale"}, "kind-not-offered"),
        ({"entry": ("open", "invitation")}, "entry-not-offered"),
        ({"entry": ("open", "approval")}, "entry-not-offered"),
        ({"entry": ("open", "open")}, "entry-not-offered"),
        ({"capacity": 4, "launch_base": 5}, "launch-base-above-capacity"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(changes: dict[str, Any], reason: str) -> None:
    given(FOLD).when(lambda state: found(founding(charter(**changes)), state)).then_refused(Invalid, reason)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "members"},
        {"kind": "course"},
        {"capacity": 5, "launch_base": 5},
        {"entry": ("invitation",)},
        {"landing_url": "https://acme.example/early-risers"},
    ],
)
def test_what_is_offered_is_founded(changes: dict[str, Any]) -> None:
    given(FOLD).when(lambda state: found(founding(charter(**changes)), state)).then(founded_with(**changes))


def test_the_owner_launches_the_draft() -> None:
    given(FOLD, FOUNDED).when(lambda state: launch(launching(), state)).then(LAUNCHED)


def test_launching_twice_changes_nothing() -> None:
    given(FOLD, FOUNDED, LAUNCHED).when(lambda state: launch(launching(), state)).then_nothing_happens()


@pytest.mark.parametrize("facts", [[FOUNDED], [FOUNDED, LAUNCHED]])
def test_nobody_else_launches(facts: list[Any]) -> None:
    community = given(FOLD, *facts)
    member = community.when(lambda state: launch(launching(person="bo", roles=("admin", "member")), state))
    member.then_refused(Forbidden, "role-missing")
    stranger = community.when(lambda state: launch(launching(person="bo", roles=()), state))
    stranger.then_refused(Forbidden, "not-a-member")


def test_a_launch_needs_its_base() -> None:
    draft = given(FOLD, founded_with(launch_base=3))
    refusal = draft.when(lambda state: launch(launching(members=2), state)).then_refused(
        Conflict, "launch-base-not-reached"
    )
    assert refusal.extras == {"launch_base": 3, "members": 2}
    draft.when(lambda state: launch(launching(members=3), state)).then(msgspec.structs.replace(LAUNCHED, members=3))


def test_a_foreign_community_is_as_one_that_does_not_exist() -> None:
    foreign = given(FOLD, FOUNDED).when(lambda state: launch(launching(organization="umbrella"), state))
    missing = given(FOLD).when(lambda state: launch(launching(), state))
    assert str(foreign.then_refused(NotFound, "community-not-found")) == str(
        missing.then_refused(NotFound, "community-not-found")
    )


def test_a_launch_without_a_founding_folds_without_failing() -> None:
    assert given(FOLD, LAUNCHED).state == FOLD.initial


def passing_on(to: str = "bo", *roles: str, organization: str = "acme") -> Transfer:
    return Transfer(organization=organization, person="ana", roles=roles or ("owner", "member"), to=to, now=NOW)


def test_the_owner_passes_the_community_on() -> None:
    given(FOLD, FOUNDED).when(lambda state: transfer(passing_on(), state)).then(TRANSFERRED)


def test_passing_on_to_oneself_changes_nothing() -> None:
    given(FOLD, FOUNDED).when(lambda state: transfer(passing_on("ana"), state)).then_nothing_happens()


def test_nobody_else_passes_it_on() -> None:
    community = given(FOLD, FOUNDED, LAUNCHED)
    admin = community.when(lambda state: transfer(passing_on("bo", "admin", "member"), state))
    admin.then_refused(Forbidden, "role-missing")
    foreign = community.when(lambda state: transfer(passing_on(organization="umbrella"), state))
    foreign.then_refused(NotFound, "community-not-found")


def test_the_owner_is_who_it_was_passed_on_to() -> None:
    state = known(given(FOLD, FOUNDED, TRANSFERRED, LAUNCHED).state, organization="acme")
    assert (state.owner, state.founded.owner, state.status) == ("bo", "ana", "launched")


def test_a_launch_says_where_the_community_s_links_lead() -> None:
    page = "https://acme.example/early-risers"
    given(FOLD, founded_with(landing_url=page)).when(lambda state: launch(launching(), state)).then(
        msgspec.structs.replace(LAUNCHED, landing_url=page)
    )


def test_a_charter_that_was_stored_before_landing_pages_is_read() -> None:
    stored = msgspec.to_builtins(FOUNDED)
    del stored["charter"]["landing_url"]
    assert FOLD.codec.decode("community-founded.v1", msgspec.json.encode(stored)) == FOUNDED
