"""Roles and the ownership as callers see them, also when everybody moves at once."""

import asyncio
from collections import Counter
from pathlib import Path

from services.membership.definition import MEMBERSHIP
from tests.membership.acts import data_of, facts, founded, invited, joined, launched, reason, rows
from tests.support.serving import Client, Served, serving


async def roles(reader: Client, community: str) -> dict[str, list[str]]:
    """Of all active members."""
    items = (await reader.get(f"{community}/members?limit=100")).json()["items"]
    return {item["person"]: item["roles"] for item in items}


async def test_the_owner_grants_and_revokes(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await launched(ana)
    await joined(bo, community)
    answer = await ana.post(f"{community}/members/bo/roles", {"role": "admin"})
    assert (answer.status_code, answer.json()["roles"], answer.headers["etag"]) == (200, ["admin", "member"], '"2"')
    assert (await ana.get(f"{community}/members/bo")).content == answer.content
    again = await ana.post(f"{community}/members/bo/roles", {"role": "admin"})
    assert again.content == answer.content

    taken = await ana.delete(f"{community}/members/bo/roles/admin")
    assert (taken.status_code, taken.json()["roles"], taken.headers["etag"]) == (200, ["member"], '"3"')
    assert (await ana.get(f"{community}/members/bo")).content == taken.content
    assert (await ana.delete(f"{community}/members/bo/roles/admin")).content == taken.content

    (granted,) = await data_of(membership, "membership.role-granted.v1")
    (revoked,) = await data_of(membership, "membership.role-revoked.v1")
    assert (granted["role"], granted["granted_by"], granted["roles"]) == ("admin", "ana", ["admin", "member"])
    assert (revoked["role"], revoked["revoked_by"], revoked["roles"]) == ("admin", "ana", ["member"])


async def test_roles_that_cannot_be_granted(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await launched(ana)
    await joined(bo, community)
    for role in ("owner", "member", "editor"):
        answer = await ana.post(f"{community}/members/bo/roles", {"role": role})
        assert reason(answer) == (422, "invalid-request")
        assert reason(await ana.delete(f"{community}/members/bo/roles/{role}")) == (422, "invalid-request")
    assert reason(await ana.post(f"{community}/members/cy/roles", {"role": "admin"})) == (404, "member-not-found")
    assert reason(await ana.delete(f"{community}/members/cy/roles/admin")) == (404, "member-not-found")
    assert reason(await bo.post(f"{community}/members/bo/roles", {"role": "admin"})) == (403, "role-missing")


async def test_a_person_whose_id_holds_a_slash_has_roles(membership: Served) -> None:
    ana, person = membership.person("ana"), membership.person("team/bo")
    community = await launched(ana)
    await joined(person, community)
    path = f"{community}/members/team%2Fbo/roles"
    assert (await ana.post(path, {"role": "admin"})).json()["roles"] == ["admin", "member"]
    assert (await ana.delete(f"{path}/admin")).json()["roles"] == ["member"]
    assert (await person.get("/v1/people/team%2Fbo/referral")).json()["person"] == "team/bo"


async def test_an_admin_who_leaves_returns_as_a_member(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await launched(ana)
    await joined(bo, community)
    await ana.post(f"{community}/members/bo/roles", {"role": "admin"})
    assert (await bo.post(f"{community}/members/me/leave")).json()["roles"] == []
    assert (await joined(bo, community))["roles"] == ["member"]


async def test_a_community_is_passed_on(membership: Served) -> None:
    ana, bo, cy = (membership.person(name) for name in ("ana", "bo", "cy"))
    community = await launched(ana)
    for person in (bo, cy):
        await joined(person, community)
    assert reason(await bo.post(f"{community}/ownership", {"to": "cy"})) == (403, "role-missing")
    assert reason(await ana.post(f"{community}/ownership", {"to": "di"})) == (404, "member-not-found")
    unchanged = await ana.post(f"{community}/ownership", {"to": "ana"})
    assert (unchanged.status_code, unchanged.json()["owner"]) == (200, "ana")

    answer = await ana.post(f"{community}/ownership", {"to": "bo"})
    assert (answer.status_code, answer.json()["owner"], answer.headers["etag"]) == (200, "bo", '"3"')
    assert (await ana.get(community)).content == answer.content
    assert await roles(cy, community) == {"ana": ["admin", "member"], "bo": ["owner", "member"], "cy": ["member"]}
    assert reason(await ana.post(f"{community}/ownership", {"to": "cy"})) == (403, "role-missing")
    assert reason(await bo.post(f"{community}/members/me/leave")) == (409, "owner-cannot-leave")
    assert (await ana.post(f"{community}/members/me/leave")).status_code == 200

    (message,) = await data_of(membership, "membership.ownership-transferred.v1")
    assert (message["previous_owner"], message["owner"]) == ("ana", "bo")
    changes = [(m["person"], m["role"]) for m in await data_of(membership, "membership.role-granted.v1")]
    assert changes == [("ana", "admin"), ("bo", "owner")]


async def test_the_current_owner_launches(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await founded(ana)
    await joined(bo, community, invitation=await invited(ana, community))
    await ana.post(f"{community}/ownership", {"to": "bo"})
    assert reason(await ana.post(f"{community}/launch")) == (403, "role-missing")
    assert (await bo.post(f"{community}/launch")).json()["owner"] == "bo"


async def test_of_parallel_transfers_one_succeeds(membership: Served, tmp_path: Path) -> None:
    async with serving(MEMBERSHIP, membership.dsn, tmp_path) as other:
        ana = membership.person("ana")
        community = await launched(ana)
        people = [f"p{number}" for number in range(10)]
        await asyncio.gather(*(joined(membership.person(person), community) for person in people))
        owners = [served.person("ana") for served in (membership, other)]
        answers = await asyncio.gather(
            *(owners[number % 2].post(f"{community}/ownership", {"to": to}) for number, to in enumerate(people))
        )
        assert Counter(answer.status_code for answer in answers) == {200: 1, 403: 9}
        assert {reason(answer) for answer in answers if answer.status_code == 403} == {(403, "role-missing")}
        (owner,) = [answer.json()["owner"] for answer in answers if answer.status_code == 200]
        held = await roles(ana, community)
    assert [person for person, of in held.items() if "owner" in of] == [owner]
    assert (await ana.get(community)).json()["owner"] == owner


async def test_an_ownership_handed_round_is_always_somebody_s(membership: Served, tmp_path: Path) -> None:
    """Everybody passes it on to the next as soon as having it, grants, leaves and returns meanwhile."""
    async with serving(MEMBERSHIP, membership.dsn, tmp_path) as other:
        community = await launched(membership.person("p0"))
        people = [f"p{number}" for number in range(5)]
        for person in people[1:]:
            await joined(membership.person(person), community)

        async def restless(number: int, served: Served) -> None:
            own, following = served.person(people[number]), people[(number + 1) % len(people)]
            for _ in range(6):
                await own.post(f"{community}/ownership", {"to": following})
                await own.post(f"{community}/members/{following}/roles", {"role": "admin"})
                await own.post(f"{community}/members/me/leave")
                await own.post(f"{community}/members")
                await own.delete(f"{community}/members/{following}/roles/admin")

        await asyncio.gather(*(restless(number, served) for number in range(5) for served in (membership, other)))
    history = [type for _, type in await facts(membership)]
    assert history.count("ownership-transferred.v1") >= 5
    held = await roles(membership.machine("import"), community)
    (owner,) = [person for person, of in held.items() if "owner" in of]
    assert (await membership.machine("import").get(community)).json()["owner"] == owner
    # As the log tells it: after every transfer exactly one person has the role.
    now = {"p0"}
    for name, person in await ownership(membership):
        now = now | {person} if name == "role-granted.v1" else now - {person}
        assert len(now) <= 1
    assert now == {owner}


async def ownership(served: Served) -> list[tuple[str, str]]:
    """Who got (`role-granted.v1`) and who lost it, in commit order."""
    found = await rows(
        served,
        "select type, data->>'person' from events where type like 'role-%' and data->>'role' = 'owner'"
        " order by epoch, transaction_id, sequence",
    )
    return [(type, person) for type, person in found]
