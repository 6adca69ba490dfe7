"""Every role tries every act of membership that needs a right: what happens is what the table says."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import services.membership
from shared.permissions import PERMISSIONS, Action, Role
from tests.membership.acts import founded, invited, joined, launched, reason
from tests.membership.conftest import membership
from tests.support.serving import Client, Served

__all__ = ["membership"]


@dataclass(frozen=True)
class Scene:
    """A community with one person of every role (called like it), who left it, and a member to act upon."""

    served: Served
    community: str

    def person(self, name: str) -> Client:
        return self.served.person(name)


async def scene(served: Served, *, draft: bool) -> Scene:
    owner = served.person("owner")
    community = await (founded(owner) if draft else launched(owner))
    code = await invited(owner, community)
    for name in ("admin", "member", "other", "left"):
        await joined(served.person(name), community, invitation=code)
    for name in ("admin", "other"):
        answer = await owner.post(f"{community}/members/{name}/roles", {"role": "admin"})
        assert answer.status_code == 200
    await served.person("left").post(f"{community}/members/me/leave")
    return Scene(served, community)


Probe = Callable[[Client, str], Awaitable[Any]]
PROBES: dict[Action, Probe] = {
    Action.LAUNCH_COMMUNITY: lambda client, path: client.post(f"{path}/launch"),
    Action.TRANSFER_OWNERSHIP: lambda client, path: client.post(f"{path}/ownership", {"to": "other"}),
    Action.GRANT_ADMIN: lambda client, path: client.post(f"{path}/members/other/roles", {"role": "admin"}),
    Action.REVOKE_ADMIN: lambda client, path: client.delete(f"{path}/members/other/roles/admin"),
    Action.CREATE_INVITATION: lambda client, path: client.post(f"{path}/invitations"),
    Action.READ_MEMBERS: lambda client, path: client.get(f"{path}/members"),
}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("action", list(PROBES))
async def test_a_role_may_do_what_the_table_says(membership: Served, action: Action, role: Role) -> None:
    world = await scene(membership, draft=action is Action.LAUNCH_COMMUNITY)
    answer = await PROBES[action](world.person(role), world.community)
    if role in PERMISSIONS[action]:
        assert answer.status_code in {200, 201}, answer.text
    else:
        assert reason(answer) == (403, "role-missing")
        assert answer.json()["roles"] == [allowed for allowed in Role if allowed in PERMISSIONS[action]]


@pytest.mark.parametrize("role", list(Role))
async def test_who_sees_the_invitations_of_others(membership: Served, role: Role) -> None:
    world = await scene(membership, draft=False)
    await invited(world.person("other"), world.community)
    listed = (await world.person(role).get(f"{world.community}/invitations")).json()["items"]
    assert ("other" in {item["inviter"] for item in listed}) is (role in PERMISSIONS[Action.READ_INVITATIONS_OF_OTHERS])


@pytest.mark.parametrize("name", ["left", "stranger"])
async def test_without_a_role_nobody_may_do_anything(membership: Served, name: str) -> None:
    world = await scene(membership, draft=False)
    for probe in PROBES.values():
        assert reason(await probe(world.person(name), world.community)) == (403, "not-a-member")
    assert reason(await world.person(name).get(f"{world.community}/invitations")) == (403, "not-a-member")


def test_no_right_that_membership_asks_for_is_left_out() -> None:
    folder = Path(services.membership.__file__).parent
    asked = {name for path in folder.glob("*.py") for name in re.findall(r"\bAction\.([A-Z_]+)", path.read_text())}
    assert asked == {action.name for action in (*PROBES, Action.READ_INVITATIONS_OF_OTHERS)}
