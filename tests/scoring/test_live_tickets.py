"""Tickets: each opens one stream, once, of one board, soon."""

import asyncio
import time
from datetime import datetime
from typing import Any

import asyncpg
import httpx
import pytest

from tests.scoring.desk import Desk, OpenDesk
from tests.scoring.feeder import Feeder
from tests.scoring.story import Story
from tests.support.streaming import reading


def reason(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def test_a_ticket_opens_a_stream_without_a_token(desk: Desk, feeder: Feeder, told: tuple[Story, str]) -> None:
    story, community = told
    asked_at = time.time()
    ticket = await desk.ticket("bo", community)
    assert ticket.status_code == 201, ticket.text
    assert ticket.headers["cache-control"] == "no-store"
    body = ticket.json()
    assert body["stream"] == (f"/scoring/v1/communities/{community}/leaderboards/points/stream?ticket={body['ticket']}")
    assert 55 < datetime.fromisoformat(body["expires_at"]).timestamp() - asked_at < 65
    async with desk.use(ticket) as stream:
        first = await stream.next()
        assert (first.name, first.data["me"]["person"]) == ("snapshot", "bo")
        await feeder.apply([story.published("cai", community)])
        assert (await stream.next()).name == "change"


async def test_a_ticket_is_used_up_by_its_first_use(desk: Desk, told: tuple[Story, str]) -> None:
    ticket = await desk.ticket("bo", told[1])
    async with desk.use(ticket) as stream:
        await stream.next()
    async with desk.use(ticket) as again:
        assert reason(again.answer) == (401, "ticket-invalid")


async def test_of_many_who_use_a_ticket_at_once_one_gets_in(
    desk: Desk, open_desk: OpenDesk, told: tuple[Story, str]
) -> None:
    async with open_desk() as other:
        ticket = await desk.ticket("bo", told[1])
        statuses: list[int] = []

        async def use(where: Desk) -> None:
            async with where.use(ticket) as stream:
                statuses.append(stream.answer.status_code)

        await asyncio.gather(*(use(where) for where in (desk, other) for _ in range(8)))
    assert sorted(statuses) == [200] + [401] * 15


async def test_a_ticket_that_has_expired_opens_nothing(
    desk: Desk, told: tuple[Story, str], pool: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    ticket = await desk.ticket("bo", told[1])
    await pool.execute("update stream_tickets set expires_at = clock_timestamp()")
    async with desk.use(ticket) as stream:
        assert reason(stream.answer) == (401, "ticket-invalid")


async def test_expired_tickets_are_cleared_away(
    desk: Desk, told: tuple[Story, str], pool: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    for number in range(3):
        await desk.ticket("bo", told[1], key=f"old-{number}")
    await pool.execute("update stream_tickets set expires_at = clock_timestamp() - interval '1 hour'")
    await desk.ticket("ana", told[1], key="new")
    assert [row["key"] for row in await pool.fetch("select key from stream_tickets")] == ["new"]
    again = await desk.ticket("ana", told[1], key="new")
    async with desk.use(again) as stream:
        assert stream.answer.status_code == 200


async def test_what_is_stored_opens_nothing(
    desk: Desk, told: tuple[Story, str], pool: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    ticket = (await desk.ticket("bo", told[1])).json()["ticket"]
    (row,) = await pool.fetch("select * from stream_tickets")
    assert ticket not in str(dict(row))
    for guess in (row["ticket"].hex(), "", "x", "\N{SNOWMAN}", ticket + "x", ticket.swapcase()):
        async with reading(f"{desk.board(told[1])}?ticket={guess}") as stream:
            assert reason(stream.answer) == (401, "ticket-invalid"), guess


async def test_a_ticket_is_for_one_board(desk: Desk, feeder: Feeder, told: tuple[Story, str]) -> None:
    story, community = told
    elsewhere = story.community()
    await feeder.apply([story.joined("bo", elsewhere)])
    ticket = await desk.ticket("bo", community)
    secret = ticket.json()["ticket"]
    for board in (desk.board(community, "activity"), desk.board(elsewhere)):
        async with reading(f"{board}?ticket={secret}") as stream:
            assert reason(stream.answer) == (401, "ticket-invalid")
    async with desk.use(ticket) as stream:
        assert stream.answer.status_code == 200


@pytest.mark.parametrize(
    "person, organization, scope, refusal",
    [
        ("zoe", "acme", "", (403, "not-a-member")),
        ("bo", "zenith", "", (404, "community-not-found")),
        ("shop", "acme", "purchases:write", (403, "scope-missing")),
    ],
)
async def test_who_may_not_read_the_board_gets_no_ticket(
    desk: Desk, told: tuple[Story, str], person: str, organization: str, scope: str, refusal: tuple[int, str]
) -> None:
    answer = await desk.ticket(person, told[1], organization=organization, scope=scope)
    assert reason(answer) == refusal


async def test_who_left_meanwhile_is_not_let_in(desk: Desk, feeder: Feeder, told: tuple[Story, str]) -> None:
    story, community = told
    ticket = await desk.ticket("bo", community)
    await feeder.apply([story.left("bo", community)])
    async with desk.use(ticket) as stream:
        assert reason(stream.answer) == (403, "not-a-member")


async def test_a_ticket_lets_nobody_read_for_longer_than_the_token_of_who_asked(
    desk: Desk, told: tuple[Story, str]
) -> None:
    now = int(time.time())
    async with desk.use(await desk.ticket("bo", told[1], exp=now + 3)) as stream:
        assert (await stream.next()).name == "snapshot"
        end = await stream.next()
        assert (end.name, end.data) == ("end", {"reason": "token-expired"})
        assert time.time() >= now + 3


async def test_a_token_that_never_expires_asks_as_well(desk: Desk, told: tuple[Story, str]) -> None:
    async with reading(desk.board(told[1]), desk.bearer("bo", exp=2**53)) as stream:
        assert (await stream.next()).name == "snapshot"
    async with desk.use(await desk.ticket("bo", told[1], exp=2**53)) as stream:
        assert (await stream.next()).name == "snapshot"


async def test_a_ticket_asked_for_again_replaces_the_first(desk: Desk, told: tuple[Story, str]) -> None:
    first, second = [await desk.ticket("bo", told[1], key="same") for _ in range(2)]
    async with desk.use(first) as stream:
        assert reason(stream.answer) == (401, "ticket-invalid")
    async with desk.use(second) as stream:
        assert stream.answer.status_code == 200
    assert reason(await desk.ticket("bo", told[1], key="a b")) == (400, "idempotency-key-malformed")


async def test_a_key_stands_for_one_board(desk: Desk, told: tuple[Story, str]) -> None:
    await desk.ticket("bo", told[1], key="same")
    assert reason(await desk.ticket("bo", told[1], "activity", key="same")) == (422, "idempotency-key-reused")
    assert (await desk.ticket("ana", told[1], "activity", key="same")).status_code == 201, "another caller's key"


async def test_one_person_has_some_streams_only(desk: Desk, told: tuple[Story, str], monkeypatch: Any) -> None:
    app = desk.address.server.config.app
    monkeypatch.setattr(app.apps["scoring"].state.streams, "_most_of_one", 1)  # type: ignore[union-attr]
    async with desk.use(await desk.ticket("bo", told[1])) as stream:
        assert stream.answer.status_code == 200
        async with desk.watch("bo", told[1]) as second:
            assert reason(second.answer) == (503, "too-many-streams")
        async with desk.watch("ana", told[1]) as other:
            assert other.answer.status_code == 200


async def test_a_fact_just_answered_counts_for_a_ticket(desk: Desk, told: tuple[Story, str]) -> None:
    """The token of a join makes the request wait for it; here it never comes."""
    headers = {"consistency-token": "membership.1.1-999999-1"}
    async with httpx.AsyncClient(timeout=10) as client:
        answer = await client.post(
            desk.board(told[1]).replace("/stream", "/tickets"),
            headers=desk.bearer("bo") | headers | {"idempotency-key": "k"},
        )
    assert reason(answer) == (503, "not-caught-up")
