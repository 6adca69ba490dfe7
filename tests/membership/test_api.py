"""Membership as its callers see it."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import asyncpg

from services.membership.definition import MEMBERSHIP
from services.membership.messages import TYPES
from shared.http.models import format_instant
from tests.membership.acts import COMMUNITIES, FOUNDING, facts, founded, launched, reason
from tests.support.serving import Client, Served, check_documents, serving


async def test_a_person_founds_a_community_and_is_its_first_member(membership: Served) -> None:
    ana = membership.person("ana")
    answer = await ana.post(COMMUNITIES, {**FOUNDING, "tags": ["sport"], "capacity": 200})
    assert answer.status_code == 201
    body = answer.json()
    id = body.pop("id")
    assert answer.headers["location"] == f"/membership/v1/communities/{id}"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["consistency-token"].startswith("membership.")
    assert datetime.now(UTC) - datetime.fromisoformat(body.pop("founded_at")) < timedelta(minutes=1)
    assert body == {
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
        "landing_url": None,
        "status": "draft",
        "launched_at": None,
        "version": 1,
    }
    member = (await ana.get(f"{COMMUNITIES}/{id}/members/ana")).json()
    assert (member["roles"], member["status"], member["first_in_community"]) == (["owner", "member"], "active", True)
    assert await facts(membership) == [
        (f"community-{id}", "community-founded.v1"),
        (f"member-{id}-ana", "member-joined.v1"),
        (f"places-{id}", "place-taken.v1"),
    ]


async def test_what_was_answered_is_what_is_read(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    answer = await ana.post(COMMUNITIES, FOUNDING)
    community = f"{COMMUNITIES}/{answer.json()['id']}"
    read = await ana.get(community)
    assert (read.content, read.headers["etag"]) == (answer.content, answer.headers["etag"])

    answer = await ana.post(f"{community}/launch")
    read = await ana.get(community)
    assert (read.content, read.headers["etag"]) == (answer.content, '"2"')
    assert read.json()["status"] == "launched"
    assert (await ana.get(community, If_None_Match='"2"')).status_code == 304

    for path, version in (("members", '"1"'), ("members/me/leave", '"2"'), ("members", '"3"')):
        answer = await bo.post(f"{community}/{path}")
        read = await bo.get(f"{community}/members/bo")
        assert (read.content, read.headers["etag"]) == (answer.content, version)


async def test_join_leave_return(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await launched(ana)

    first = await bo.post(f"{community}/members")
    assert first.status_code == 201
    assert first.headers["location"] == f"/membership{community}/members/bo"
    assert (first.json()["status"], first.json()["first_in_community"]) == ("active", True)

    again = await bo.post(f"{community}/members")
    assert (again.status_code, again.content) == (200, first.content)
    assert first.headers["consistency-token"] in again.headers["consistency-token"].split(",")

    left = await bo.post(f"{community}/members/me/leave")
    assert left.status_code == 200
    assert (left.json()["status"], left.json()["roles"], left.json()["joined_at"]) == (
        "left",
        [],
        first.json()["joined_at"],
    )
    twice = await bo.post(f"{community}/members/me/leave")
    assert (twice.status_code, twice.content) == (200, left.content)

    back = await bo.post(f"{community}/members")
    assert back.status_code == 201
    assert (back.json()["status"], back.json()["first_in_community"]) == ("active", False)
    assert back.json()["joined_at"] > first.json()["joined_at"]


async def test_the_owner_cannot_leave_and_a_stranger_cannot_either(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await launched(ana)
    assert reason(await ana.post(f"{community}/members/me/leave")) == (409, "owner-cannot-leave")
    assert reason(await bo.post(f"{community}/members/me/leave")) == (403, "not-a-member")


async def test_a_draft_is_closed_until_its_owner_launches_it(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await founded(ana)
    assert reason(await bo.post(f"{community}/members")) == (409, "community-not-launched")
    assert reason(await bo.post(f"{community}/launch")) == (403, "not-a-member")
    assert (await ana.post(f"{community}/launch")).status_code == 200
    twice = await ana.post(f"{community}/launch")
    assert (twice.status_code, twice.headers["etag"]) == (200, '"2"')
    assert (await bo.post(f"{community}/members")).status_code == 201


async def test_a_launch_needs_its_base(membership: Served) -> None:
    ana = membership.person("ana")
    community = await founded(ana, launch_base=2)
    answer = await ana.post(f"{community}/launch")
    assert reason(answer) == (409, "launch-base-not-reached")
    assert (answer.json()["launch_base"], answer.json()["members"]) == (2, 1)


async def test_fifty_parallel_joins_on_ten_places_fill_exactly_ten(membership: Served) -> None:
    ana = membership.person("ana")
    community = await launched(ana, capacity=11)
    people = [membership.person(f"p{number}") for number in range(50)]
    answers = await asyncio.gather(*(person.post(f"{community}/members") for person in people))
    assert Counter(answer.status_code for answer in answers) == {201: 10, 409: 40}
    assert {reason(answer) for answer in answers if answer.status_code == 409} == {(409, "community-full")}
    listed = await ana.get(f"{community}/members?limit=100")
    assert len(listed.json()["items"]) == 11
    assert Counter(await facts(membership))[(f"places-{community.rpartition('/')[2]}", "place-taken.v1")] == 11


async def test_two_processes_fill_no_more_places_than_there_are(membership: Served, tmp_path: Path) -> None:
    async with serving(MEMBERSHIP, membership.dsn, tmp_path) as other:
        community = await launched(membership.person("ana"), capacity=11)
        people = [served.person(f"p{number}") for number in range(15) for served in (membership, other)]
        answers = await asyncio.gather(*(person.post(f"{community}/members") for person in people))
        joined = [answer.json()["person"] for answer in answers if answer.status_code == 201]
        assert len(joined) == len(set(joined)) == 10
        assert {reason(answer) for answer in answers if answer.status_code not in {200, 201}} == {
            (409, "community-full")
        }
        listed = await membership.person("ana").get(f"{community}/members?limit=100")
    assert sorted(item["person"] for item in listed.json()["items"]) == sorted(["ana", *joined])


async def test_who_leaves_frees_exactly_one_place(membership: Served) -> None:
    ana = membership.person("ana")
    community = await launched(ana, capacity=3)
    bo, cy = membership.person("bo"), membership.person("cy")
    for person in (bo, cy):
        assert (await person.post(f"{community}/members")).status_code == 201
    others = [membership.person(f"p{number}") for number in range(8)]
    assert reason(await others[0].post(f"{community}/members")) == (409, "community-full")
    assert (await bo.post(f"{community}/members")).status_code == 200  # has a place

    await asyncio.gather(*(bo.post(f"{community}/members/me/leave") for _ in range(5)))
    answers = await asyncio.gather(*(person.post(f"{community}/members") for person in others))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 7}


async def test_comings_and_goings_never_overfill(membership: Served) -> None:
    community = await launched(membership.person("ana"), capacity=4)
    random = Random(7)

    async def come_and_go(person: Client) -> None:
        for _ in range(8):
            answer = await person.post(f"{community}/{random.choice(('members', 'members/me/leave'))}")
            assert answer.status_code in {200, 201} or reason(answer) in {
                (409, "community-full"),
                (403, "not-a-member"),
            }

    await asyncio.gather(*(come_and_go(membership.person(f"p{number}")) for number in range(12)))
    id = community.rpartition("/")[2]
    history = await facts(membership)
    steps = [{"place-taken.v1": 1, "place-freed.v1": -1}[type] for stream, type in history if stream == f"places-{id}"]
    taken = list(accumulate(steps))
    assert len(taken) > 10 and max(taken) == 4
    active = [item["person"] for item in (await membership.person("ana").get(f"{community}/members")).json()["items"]]
    assert len(active) == len(set(active)) == taken[-1]


async def test_a_person_joins_once_however_often_in_parallel(membership: Served) -> None:
    community = await launched(membership.person("ana"))
    bo = membership.person("bo")
    answers = await asyncio.gather(*(bo.post(f"{community}/members") for _ in range(12)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 11}
    assert len({answer.content for answer in answers}) == 1
    id = community.rpartition("/")[2]
    assert Counter(await facts(membership))[(f"member-{id}-bo", "member-joined.v1")] == 1


async def test_a_repeat_is_answered_byte_for_byte(membership: Served) -> None:
    ana = membership.person("ana")
    first = await ana.post(COMMUNITIES, FOUNDING, key="found-1")
    repeat = await ana.post(COMMUNITIES, FOUNDING, key="found-1")
    assert repeat.headers["idempotency-replayed"] == "true"
    for name in ("etag", "location", "consistency-token"):
        assert repeat.headers[name] == first.headers[name]
    assert (repeat.status_code, repeat.content) == (201, first.content)
    assert len((await ana.get(COMMUNITIES)).json()["items"]) == 1

    other = await ana.post(COMMUNITIES, {**FOUNDING, "name": "Late risers"}, key="found-1")
    assert reason(other) == (422, "idempotency-key-reused")
    assert reason(await ana.post(f"{COMMUNITIES}/{first.json()['id']}/launch", key="found-1")) == (
        422,
        "idempotency-key-reused",
    )
    assert (await membership.person("bo").post(COMMUNITIES, FOUNDING, key="found-1")).content != first.content


async def test_parallel_repeats_act_once(membership: Served) -> None:
    ana = membership.person("ana")
    answers = await asyncio.gather(*(ana.post(COMMUNITIES, FOUNDING, key="found-1") for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert len(await facts(membership)) == 2


async def test_a_join_refused_is_not_remembered(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await founded(ana)
    assert (await bo.post(f"{community}/members", key="join-1")).status_code == 409
    await ana.post(f"{community}/launch")
    assert (await bo.post(f"{community}/members", key="join-1")).status_code == 201


async def test_a_foreign_organization_sees_nothing(membership: Served) -> None:
    ana = membership.person("ana")
    community = await launched(ana)
    eve = membership.person("eve", organization="umbrella")
    importer = membership.machine("import", organization="umbrella", acting="eve")
    missing = f"{COMMUNITIES}/0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10"
    for caller in (eve, importer, membership.person("ana", organization="umbrella")):
        for method, path in (
            (caller.get, ""),
            (caller.get, "/rulebook"),
            (caller.get, "/members"),
            (caller.get, "/members/ana"),
            (caller.post, "/launch"),
            (caller.post, "/members"),
            (caller.post, "/members/me/leave"),
        ):
            foreign, nowhere = await method(community + path), await method(missing + path)
            assert reason(foreign) == reason(nowhere) == (404, "community-not-found")
            assert foreign.json()["detail"] == nowhere.json()["detail"]
        assert (await caller.get(COMMUNITIES)).json() == {"items": [], "next": None}
    assert [item["person"] for item in (await ana.get(f"{community}/members")).json()["items"]] == ["ana"]


async def test_members_are_shown_to_members_to_themselves_and_to_imports(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await launched(ana)
    for path in ("members", "members/ana"):
        assert reason(await bo.get(f"{community}/{path}")) == (403, "not-a-member")
    assert reason(await bo.get(f"{community}/members/bo")) == (404, "member-not-found")
    await bo.post(f"{community}/members")
    assert (await bo.get(f"{community}/members/ana")).status_code == 200
    await bo.post(f"{community}/members/me/leave")
    assert reason(await bo.get(f"{community}/members")) == (403, "not-a-member")
    assert (await bo.get(f"{community}/members/bo")).json()["status"] == "left"

    importer, reader = membership.machine("import"), membership.machine("scores:read")
    assert [item["person"] for item in (await importer.get(f"{community}/members")).json()["items"]] == ["ana"]
    assert (await importer.get(f"{community}/members/bo")).status_code == 200
    assert reason(await reader.get(f"{community}/members")) == (403, "scope-missing")
    assert (await reader.get(community)).status_code == 200
    assert reason(await importer.post(COMMUNITIES, FOUNDING)) == (403, "person-required")


async def test_lists_are_read_page_by_page_while_they_grow(membership: Served) -> None:
    ana = membership.person("ana")
    names = [f"Community {number}" for number in range(7)]
    for name in names:
        await founded(ana, name=name)
    page = (await ana.get(f"{COMMUNITIES}?limit=3")).json()
    seen = [item["name"] for item in page["items"]]
    await founded(ana, name="Newest")
    while page["next"] is not None:
        page = (await ana.get(page["next"])).json()
        seen += [item["name"] for item in page["items"]]
    assert seen == names[::-1]

    community = await launched(ana)
    for number in range(6):
        await membership.person(f"p{number}").post(f"{community}/members")
    page = (await ana.get(f"{community}/members?limit=4")).json()
    people = [item["person"] for item in page["items"]]
    await membership.person("p0").post(f"{community}/members/me/leave")
    await membership.person("p6").post(f"{community}/members")
    page = (await ana.get(page["next"])).json()
    assert people + [item["person"] for item in page["items"]] == ["ana", *(f"p{number}" for number in range(7))]
    assert page["next"] is None
    for cursor in ("AAAA", "WzFd", "eyJhIjoxfQ"):
        assert reason(await ana.get(f"{community}/members?after={cursor}")) == (400, "cursor-malformed")
        assert reason(await ana.get(f"{COMMUNITIES}?after={cursor}")) == (400, "cursor-malformed")


async def test_an_import_acts_for_persons_and_states_when_they_joined(membership: Served) -> None:
    ana = membership.person("ana")
    community = await launched(ana)
    joined = await membership.machine("import", acting="bo").post(
        f"{community}/members", {"occurred_at": "2010-07-28T19:04:21.300+02:00"}
    )
    assert joined.status_code == 201
    assert (joined.json()["person"], joined.json()["joined_at"]) == ("bo", "2010-07-28T17:04:21.300000Z")
    assert (await ana.get(f"{community}/members")).json()["items"][0]["person"] == "bo"  # by when they joined

    ahead, soon = (format_instant(datetime.now(UTC) + timedelta(minutes=minutes)) for minutes in (6, 4))
    cy, eve = (membership.machine("import", acting=person) for person in ("cy", "eve"))
    assert reason(await cy.post(f"{community}/members", {"occurred_at": ahead})) == (422, "occurred-at-in-future")
    assert (await cy.post(f"{community}/members", {"occurred_at": soon})).json()["joined_at"] == soon
    first = await eve.post(f"{community}/members", {"occurred_at": "0001-01-01T00:00:00Z"})
    assert (first.status_code, first.json()["joined_at"]) == (201, "0001-01-01T00:00:00.000000Z")
    assert reason(await membership.person("dan").post(f"{community}/members", {"occurred_at": soon})) == (
        403,
        "occurred-at-not-allowed",
    )


async def test_an_import_founds_a_community_on_the_day_it_states(membership: Served) -> None:
    past = "2018-02-06T20:19:50.957Z"
    founded = await membership.machine("import", acting="ana").post(COMMUNITIES, {**FOUNDING, "occurred_at": past})
    assert founded.json()["founded_at"] == "2018-02-06T20:19:50.957000Z"
    owner = await membership.person("ana").get(f"{COMMUNITIES}/{founded.json()['id']}/members/ana")
    assert (owner.json()["roles"], owner.json()["joined_at"]) == (["owner", "member"], founded.json()["founded_at"])
    refused = await membership.person("bo").post(COMMUNITIES, {**FOUNDING, "occurred_at": past})
    assert reason(refused) == (403, "occurred-at-not-allowed")


async def test_keys_of_imports_never_expire(membership: Served) -> None:
    community = await launched(membership.person("ana"))
    importer = membership.machine("import", acting="bo")
    await importer.post(f"{community}/members", key="kept")
    connection = await asyncpg.connect(membership.dsn)
    try:
        kept = await connection.fetchval("select expires_at from idempotency_keys where key = 'kept'")
        others = await connection.fetchval("select count(*) from idempotency_keys where expires_at is not null")
    finally:
        await connection.close()
    assert (kept, others) == (None, 2)


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "/name"),
    ({"name": "   "}, "/name"),
    ({"name": "x" * 81}, "/name"),
    ({"affinity": None}, "/affinity"),
    ({"affinity": "x" * 281}, "/affinity"),
    ({"zone": "Mars/Olympus"}, "/zone"),
    ({"zone": "../../etc/passwd"}, "/zone"),
    ({"currency": "XXQ"}, "/currency"),
    ({"currency": "eur"}, "/currency"),
    ({"capacity": 0}, "/capacity"),
    ({"capacity": "10"}, "/capacity"),
    ({"capacity": 2**70}, "/capacity"),
    ({"capacity": 1.5}, "/capacity"),
    ({"capacity": True}, "/capacity"),
    ({"launch_base": 0}, "/launch_base"),
    ({"probation_days": -1}, "/probation_days"),
    ({"entry": []}, "/entry"),
    ({"entry": ["secret"]}, "/entry/0"),
    ({"kind": "club"}, "/kind"),
    ({"tags": ["x"] * 21}, "/tags"),
    ({"tags": [""]}, "/tags/0"),
    ({"owner": "bo"}, "/owner"),
]


async def test_a_founding_that_breaks_a_rule_is_refused_and_says_where(membership: Served) -> None:
    ana = membership.person("ana")
    for changes, pointer in BROKEN:
        answer = await ana.post(COMMUNITIES, {**FOUNDING, **changes})
        assert reason(answer) == (422, "invalid-request"), changes
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await facts(membership) == []


async def test_what_is_not_offered_is_refused_by_name(membership: Served) -> None:
    ana = membership.person("ana")
    assert reason(await ana.post(COMMUNITIES, {**FOUNDING, "kind": "flash"})) == (422, "kind-not-offered")
    assert reason(await ana.post(COMMUNITIES, {**FOUNDING, "entry": ["approval"]})) == (422, "entry-not-offered")
    narrow = await ana.post(COMMUNITIES, {**FOUNDING, "capacity": 1, "launch_base": 2})
    assert reason(narrow) == (422, "launch-base-above-capacity")
    assert await facts(membership) == []


async def test_a_community_without_affinity_is_none(membership: Served) -> None:
    body = {name: value for name, value in FOUNDING.items() if name != "affinity"}
    answer = await membership.person("ana").post(COMMUNITIES, body)
    assert reason(answer) == (422, "invalid-request")
    assert answer.json()["errors"][0]["pointer"] == "/affinity"


async def test_every_post_needs_its_key(membership: Served) -> None:
    ana = membership.person("ana")
    community = await launched(ana)
    for path in ("", *(f"/{community.rpartition('/')[2]}/{act}" for act in ("launch", "members", "members/me/leave"))):
        answer = await ana.http.post(COMMUNITIES + path, headers=ana.headers, json=FOUNDING if not path else None)
        assert reason(answer) == (400, "idempotency-key-missing")


async def test_a_person_id_is_any_text(membership: Served) -> None:
    community = await launched(membership.person("ana"))
    for person in ("auth0|1 2", "café", "a/b", "50%", "'; drop table members; --", "群力", "me/leave", "x" * 64):
        caller = membership.person(person)
        joined = await caller.post(f"{community}/members")
        assert (joined.status_code, joined.json()["person"]) == (201, person)
        read = await caller.get(joined.headers["location"].removeprefix("/membership"))
        assert (read.status_code, read.content) == (200, joined.content)


async def test_identifiers_are_one_whatever_their_case(membership: Served) -> None:
    ana = membership.person("ana")
    community = await launched(ana)
    prefix, _, id = community.rpartition("/")
    assert (await ana.get(f"{prefix}/{id.upper()}")).json()["id"] == id
    assert (await membership.person("bo").post(f"{prefix}/{id.upper()}/members")).json()["community"] == id
    assert (await membership.person("bo").post(f"{community}/members")).status_code == 200
    assert reason(await ana.get(f"{prefix}/42")) == (422, "invalid-request")


async def test_the_rulebook_is_shown(membership: Served) -> None:
    community = await launched(membership.person("ana"))
    body = (await membership.person("bo").get(f"{community}/rulebook")).json()
    assert body["rulebook"] == "default"
    assert [rule["about"] for rule in body["rules"]] == [
        "entry",
        "speech",
        "hours",
        "honour",
        "rewards",
        "penalties",
        "content",
    ]


async def test_the_documents_are_true(membership: Served) -> None:
    await check_documents(membership, TYPES)
