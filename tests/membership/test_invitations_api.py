"""Invitations as callers see them."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.membership.definition import MEMBERSHIP
from shared.http.models import format_instant
from tests.membership.acts import data_of, facts, founded, invited, joined, launched, reason
from tests.support.qr import read_png, read_svg
from tests.support.serving import Client, Served, serving

PAGE = "https://acme.example/early-risers?lang=zh"


async def test_a_member_makes_an_invitation_that_anybody_of_the_organization_reads(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await launched(ana)
    expires_at = format_instant(datetime.now(UTC) + timedelta(days=1))
    answer = await ana.post(f"{community}/invitations", {"max_uses": 3, "expires_at": expires_at})
    body = answer.json()
    code = body.pop("code")
    assert (answer.status_code, answer.headers["location"]) == (201, f"/membership/v1/invitations/{code}")
    assert datetime.now(UTC) - datetime.fromisoformat(body.pop("created_at")) < timedelta(minutes=1)
    assert body == {
        "community": community.rpartition("/")[2],
        "inviter": "ana",
        "max_uses": 3,
        "uses": 0,
        "expires_at": expires_at,
        "usable": True,
        "version": 1,
    }
    assert (await bo.get(f"/v1/invitations/{code}")).content == answer.content
    typed = f"{code[:4]}-{code[4:]}".lower().replace("1", "l").replace("0", "o")
    assert (await bo.get(f"/v1/invitations/{typed}")).content == answer.content
    (message,) = await data_of(membership, "membership.invitation-created.v1")
    assert (message["invitation"], message["inviter"], message["max_uses"]) == (code, "ana", 3)


async def test_each_use_is_counted_and_the_last_is_the_last(membership: Served) -> None:
    ana = membership.person("ana")
    community = await launched(ana)
    code = await invited(ana, community, max_uses=2)
    for number, usable in ((1, True), (2, False)):
        await joined(membership.person(f"p{number}"), community, invitation=code)
        body = (await ana.get(f"/v1/invitations/{code}")).json()
        assert (body["uses"], body["usable"]) == (number, usable)
    cy = membership.person("cy")
    assert reason(await cy.post(f"{community}/members", {"invitation": code})) == (409, "invitation-used-up")
    again = await membership.person("p1").post(f"{community}/members", {"invitation": code})
    assert again.status_code == 200  # is a member, and uses nothing


async def test_twenty_parallel_joins_share_the_last_use(membership: Served) -> None:
    ana = membership.person("ana")
    community = await launched(ana)
    code = await invited(ana, community, max_uses=3)
    for person in ("bo", "cy"):
        await joined(membership.person(person), community, invitation=code)
    people = [membership.person(f"p{number}") for number in range(20)]
    answers = await asyncio.gather(*(one.post(f"{community}/members", {"invitation": code}) for one in people))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}
    assert {reason(answer) for answer in answers if answer.status_code == 409} == {(409, "invitation-used-up")}
    assert Counter(await facts(membership))[(f"invitation-{code}", "invitation-used.v1")] == 3
    assert len(await data_of(membership, "membership.member-joined.v1")) == 4


async def test_two_processes_give_no_more_uses_than_there_are(membership: Served, tmp_path: Path) -> None:
    async with serving(MEMBERSHIP, membership.dsn, tmp_path) as other:
        ana = membership.person("ana")
        community = await launched(ana)
        code = await invited(ana, community, max_uses=7)
        people = [
            served.person(f"p{number}-{name}")
            for number in range(12)
            for name, served in (("a", membership), ("b", other))
        ]
        answers = await asyncio.gather(*(one.post(f"{community}/members", {"invitation": code}) for one in people))
    assert Counter(answer.status_code for answer in answers) == {201: 7, 409: 17}
    assert (await ana.get(f"/v1/invitations/{code}")).json()["uses"] == 7


async def test_a_join_refused_for_another_reason_uses_nothing(membership: Served) -> None:
    ana = membership.person("ana")
    community = await launched(ana, capacity=2)
    code = await invited(ana, community)
    await joined(membership.person("bo"), community, invitation=code)
    answer = await membership.person("cy").post(f"{community}/members", {"invitation": code})
    assert reason(answer) == (409, "community-full")
    assert (await ana.get(f"/v1/invitations/{code}")).json()["uses"] == 1


async def test_an_expired_a_foreign_and_an_unknown_invitation_are_refused_by_name(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community, other = await launched(ana), await launched(ana)
    short = await invited(ana, community, expires_at=format_instant(datetime.now(UTC) + timedelta(seconds=0.3)))
    elsewhere = await invited(ana, other)
    eve = membership.person("eve", organization="umbrella")
    foreign = await invited(eve, await launched(eve))
    past = format_instant(datetime.now(UTC))
    assert reason(await ana.post(f"{community}/invitations", {"expires_at": past})) == (422, "expires-in-the-past")
    await asyncio.sleep(0.35)
    for code, why in (
        (short, (409, "invitation-expired")),
        (elsewhere, (422, "invitation-elsewhere")),
        (foreign, (404, "invitation-not-found")),
        ("00000000", (404, "invitation-not-found")),
        ("7H3K9QW", (422, "invalid-request")),
        ("7H3K9QWU", (422, "invalid-request")),
    ):
        assert reason(await bo.post(f"{community}/members", {"invitation": code})) == why
    assert (await ana.get(f"/v1/invitations/{short}")).json()["usable"] is False
    both = {"invitation": elsewhere, "share_code": "00000000"}
    assert reason(await bo.post(f"{community}/members", both)) == (422, "invitation-and-share-code")
    joins = await data_of(membership, "membership.member-joined.v1")
    assert [message["person"] for message in joins] == ["ana", "ana", "eve"]


async def test_a_community_by_invitation_opens_to_invited_people_only(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await launched(ana, entry=["invitation"])
    for body in ({}, {"share_code": "7H3K9QWX"}):
        assert reason(await bo.post(f"{community}/members", body)) == (403, "invitation-required")
    code = await invited(ana, community)
    await joined(bo, community, invitation=code.lower())
    # Who left needs a new invitation, or the same one again.
    await bo.post(f"{community}/members/me/leave")
    assert reason(await bo.post(f"{community}/members")) == (403, "invitation-required")
    assert (await joined(bo, community, invitation=code))["first_in_community"] is False


async def test_invited_seed_members_count_for_the_launch(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await founded(ana, launch_base=2)
    assert reason(await bo.post(f"{community}/members")) == (409, "community-not-launched")
    assert reason(await ana.post(f"{community}/launch")) == (409, "launch-base-not-reached")
    await joined(bo, community, invitation=await invited(ana, community))
    assert (await ana.post(f"{community}/launch")).status_code == 200
    assert [message["community_status"] for message in await data_of(membership, "membership.member-joined.v1")] == [
        "draft",
        "draft",
    ]


async def test_members_list_their_own_and_staff_all(membership: Served) -> None:
    ana, bo, cy = (membership.person(name) for name in ("ana", "bo", "cy"))
    community = await launched(ana)
    for person in (bo, cy):
        await joined(person, community)
    codes = [await invited(person, community) for person in (ana, bo, bo, cy, bo)]

    async def listed(client: Client) -> list[str]:
        seen: list[str] = []
        page = f"{community}/invitations?limit=2"
        while page:
            body = (await client.get(page)).json()
            seen += [item["code"] for item in body["items"]]
            page = body["next"]
        return seen

    assert await listed(ana) == codes[::-1]
    assert await listed(membership.machine("import")) == codes[::-1]
    assert await listed(bo) == [codes[4], codes[2], codes[1]]
    assert await listed(cy) == [codes[3]]
    await cy.post(f"{community}/members/me/leave")
    assert reason(await cy.get(f"{community}/invitations")) == (403, "not-a-member")
    assert reason(await cy.post(f"{community}/invitations")) == (403, "not-a-member")
    assert (await membership.person("di").get(f"/v1/invitations/{codes[0]}")).status_code == 200


@pytest.mark.parametrize("page", [PAGE, None])
async def test_its_qr_code_leads_to_the_landing_page(membership: Served, page: str | None) -> None:
    ana = membership.person("ana")
    community = await launched(ana, landing_url=page)
    code = await invited(ana, community)
    said = code if page is None else f"{PAGE}&invitation={code}"
    svg = await ana.get(f"/v1/invitations/{code}/qr.svg", Accept="image/svg+xml")
    png = await ana.get(f"/v1/invitations/{code}/qr.png", Accept="image/png")
    assert (svg.headers["content-type"], png.headers["content-type"]) == ("image/svg+xml", "image/png")
    assert read_svg(svg.content) == read_png(png.content) == said
    for answer, path in ((svg, "qr.svg"), (png, "qr.png")):
        assert answer.headers["cache-control"] == "private, max-age=86400"
        kept = await ana.get(f"/v1/invitations/{code}/{path}", If_None_Match=answer.headers["etag"])
        assert (kept.status_code, kept.content) == (304, b"")


async def test_another_organization_sees_no_invitation(membership: Served) -> None:
    ana = membership.person("ana")
    community = await launched(ana)
    code = await invited(ana, community)
    for caller in (membership.person("ana", organization="umbrella"), membership.machine("import", "umbrella")):
        for path in ("", "/qr.svg", "/qr.png"):
            foreign = await caller.get(f"/v1/invitations/{code}{path}")
            nowhere = await caller.get(f"/v1/invitations/00000000{path}")
            assert reason(foreign) == reason(nowhere) == (404, "invitation-not-found")
        assert reason(await caller.get(f"{community}/invitations")) == (404, "community-not-found")
    eve = membership.person("eve", organization="umbrella")
    for path, body in (("invitations", {}), ("members", {"invitation": code}), ("ownership", {"to": "eve"})):
        assert reason(await eve.post(f"{community}/{path}", body)) == (404, "community-not-found")


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.example",
        "https://",
        "https:///path",
        "javascript:alert(1)",
        "https://a b.example",
        "https://acme.example/\r\nSet-Cookie: x=1",
        "https://ana:secret@acme.example",
        "https://acme.example:port",
        "https://acme.example/群",
        "https://acme.example/" + "x" * 2000,
    ],
)
async def test_a_landing_page_is_an_https_address(membership: Served, url: str) -> None:
    answer = await membership.person("ana").post(
        "/v1/communities",
        {"name": "n", "affinity": "a", "zone": "Asia/Shanghai", "currency": "CNY", "landing_url": url},
    )
    assert reason(answer) == (422, "invalid-request")


async def test_a_landing_page_is_shown_and_published(membership: Served) -> None:
    ana = membership.person("ana")
    community = await launched(ana, landing_url=PAGE)
    assert (await ana.get(community)).json()["landing_url"] == PAGE
    for name in ("community-founded", "community-launched"):
        (message,) = await data_of(membership, f"membership.{name}.v1")
        assert message["landing_url"] == PAGE
