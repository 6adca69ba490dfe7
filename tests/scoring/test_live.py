"""Live leaderboards over real sockets: snapshots, changes, coming back, and every way in which a stream ends."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from services.scoring import live
from services.scoring.boards import Metric
from services.scoring.leaderboards import Leaderboards
from services.scoring.live import Live
from services.scoring.reader import Reader
from shared.http.sse import Events
from tests.scoring.desk import Desk, OpenDesk
from tests.scoring.feeder import Feeder
from tests.scoring.story import Story
from tests.support.serving import Served
from tests.support.streaming import Reading, Seen, reading

ANYBODY = Reader("acme", None, all_scores=True)


def standing(event: Seen) -> dict[str, int]:
    return {item["person"]: item["value"] for item in event.data["items"]}


async def nothing_comes(stream: Reading, seconds: float = 1.2) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await stream.next()
    except TimeoutError:
        return True
    return False


async def test_a_snapshot_comes_first_and_then_every_change(
    desk: Desk, feeder: Feeder, told: tuple[Story, str]
) -> None:
    story, community = told
    async with desk.watch("bo", community) as stream:
        first = await stream.next()
        assert first.name == "snapshot"
        assert first.data["items"] == [
            {"rank": 1, "person": "ana", "value": 20},
            {"rank": 2, "person": "bo", "value": 10},
        ]
        assert (first.data["me"]["rank"], first.data["me"]["value"]) == (2, 10)
        assert [item["person"] for item in first.data["me"]["neighbours"]] == ["ana", "bo"]
        await feeder.apply([story.published("bo", community), story.published("bo", community)])
        change = await stream.next()
        assert (change.name, standing(change)) == ("change", {"bo": 30, "ana": 20})
        assert "me" not in change.data
        await feeder.apply([story.published("cai", community)])
        assert standing(await stream.next()) == {"bo": 30, "ana": 20, "cai": 10}
        ids = [event.id for event in stream.seen]
        assert None not in ids and len(set(ids)) == 3


async def test_activity_is_watched_as_of_today(desk: Desk, feeder: Feeder, told: tuple[Story, str]) -> None:
    story, community = told
    async with desk.watch("ana", community, "activity") as stream:
        assert [item["person"] for item in (await stream.next()).data["items"]] == ["ana", "bo", "cai"]
        await feeder.apply([story.commented("cai", community, at=datetime.now(UTC))])
        assert (await stream.next()).data["items"][0] == {"rank": 1, "person": "cai", "value": 5.0}


async def test_commission_is_watched_with_its_currency(desk: Desk, feeder: Feeder, told: tuple[Story, str]) -> None:
    story, community = told
    async with desk.watch("ana", community, "commission") as stream:
        assert (await stream.next()).data["items"] == []
        bought = story.bought("bo", community, paid=5000)
        await feeder.apply([bought, story.attributed(bought, "cai")])
        change = await stream.next()
        assert change.data["items"] == [{"rank": 1, "person": "cai", "value": 500, "currency": "CNY"}]


async def test_what_changes_no_page_is_not_told(desk: Desk, feeder: Feeder, told: tuple[Story, str]) -> None:
    story, community = told
    elsewhere = story.community()
    async with desk.watch("ana", community) as stream:
        await stream.next()
        await feeder.apply([story.joined("dee", community), story.published("ana", elsewhere)])
        assert await nothing_comes(stream)


async def test_changes_are_told_at_most_some_times_a_second(
    desk: Desk, feeder: Feeder, told: tuple[Story, str]
) -> None:
    story, community = told
    async with desk.watch("ana", community) as stream:
        await stream.next()
        started_at = time.monotonic()
        for _ in range(30):
            await feeder.apply([story.bought("bo", community, paid=100)])
        lasted = time.monotonic() - started_at
        while standing(await stream.next())["bo"] != 40:
            continue
        assert len(stream.seen) - 1 <= (lasted + 1) / live.LOOK_SECONDS + 1


async def test_who_comes_back_goes_on(desk: Desk, feeder: Feeder, told: tuple[Story, str]) -> None:
    story, community = told
    async with desk.watch("ana", community) as stream:
        first = await stream.next()
    async with desk.watch("bo", community, last_id=first.id) as stream:
        assert stream.answer.status_code == 200
        assert await nothing_comes(stream), "the page is still the one it has seen"
        await feeder.apply([story.published("bo", community)])
        second = await stream.next()
        assert (second.name, standing(second)) == ("change", {"ana": 20, "bo": 20})
    async with desk.watch("ana", community, last_id=first.id) as stream:
        missed = await stream.next()
        assert (missed.name, missed.id, missed.data) == ("change", second.id, second.data)
    async with reading(f"{desk.board(community)}?last_event_id={second.id}", desk.bearer("ana")) as stream:
        assert await nothing_comes(stream), "a new EventSource says it in the query"


@pytest.mark.parametrize("last_id", ["0123456789abcdef", "x", "*" * 500])
async def test_who_saw_what_is_no_longer_known_gets_a_snapshot(
    desk: Desk, told: tuple[Story, str], last_id: str
) -> None:
    async with desk.watch("ana", told[1], last_id=last_id) as stream:
        assert (await stream.next()).name == "snapshot"


async def test_pages_of_long_ago_are_forgotten(
    desk: Desk, feeder: Feeder, told: tuple[Story, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PAGES_KNOWN", 2)
    story, community = told
    async with desk.watch("ana", community) as stream:
        first = await stream.next()
        for _ in range(2):
            await feeder.apply([story.published("bo", community)])
            await stream.next()
        second = stream.seen[1]
    async with desk.watch("ana", community, last_id=first.id) as stream:
        assert (await stream.next()).name == "snapshot"
    async with desk.watch("ana", community, last_id=second.id) as stream:
        assert (await stream.next()).name == "change"


async def test_an_id_means_the_same_in_every_process(desk: Desk, open_desk: OpenDesk, told: tuple[Story, str]) -> None:
    async with desk.watch("ana", told[1]) as stream:
        first = await stream.next()
    async with open_desk() as other, other.watch("ana", told[1], last_id=first.id) as stream:
        assert await nothing_comes(stream)


async def test_one_look_serves_all_who_watch(
    desk: Desk, feeder: Feeder, told: tuple[Story, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    story, community = told
    looks: list[Metric] = []
    page = Leaderboards.page

    async def counted(self: Leaderboards, *arguments: Any, **options: Any) -> Any:
        looks.append(arguments[2])
        return await page(self, *arguments, **options)

    async with asyncio.TaskGroup() as group:
        ready = [asyncio.Event() for _ in range(12)]

        async def watch(number: int) -> None:
            async with desk.watch(("ana", "bo", "cai")[number % 3], community) as stream:
                await stream.next()
                ready[number].set()
                assert standing(await stream.next()) == {"ana": 20, "bo": 20}

        for number in range(12):
            group.create_task(watch(number))
        await asyncio.gather(*(event.wait() for event in ready))
        await asyncio.sleep(2 * live.LOOK_SECONDS)
        monkeypatch.setattr(Leaderboards, "page", counted)
        await feeder.apply([story.published("bo", community)])
    assert 1 <= len(looks) <= 2


async def test_who_leaves_the_community_is_sent_off(desk: Desk, feeder: Feeder, told: tuple[Story, str]) -> None:
    story, community = told
    async with desk.watch("cai", community) as gone, desk.watch("ana", community) as staying:
        await gone.next()
        await staying.next()
        await feeder.apply([story.left("cai", community)])
        end = await gone.next()
        assert (end.name, end.data) == ("end", {"reason": "not-a-member"})
        with pytest.raises(EOFError):
            await gone.next()
        await feeder.apply([story.published("bo", community)])
        assert standing(await staying.next()) == {"ana": 20, "bo": 20}
    async with desk.watch("cai", community) as refused:
        assert refused.answer.status_code == 403


async def test_a_stream_ends_when_its_token_expires(desk: Desk, told: tuple[Story, str]) -> None:
    now = int(time.time())
    async with reading(desk.board(told[1]), desk.bearer("ana", exp=now + 3)) as stream:
        assert (await stream.next()).name == "snapshot"
        end = await stream.next()
        assert (end.name, end.data) == ("end", {"reason": "token-expired"})
        assert time.time() >= now + 3


@pytest.mark.parametrize(
    "person, organization, scope, status, reason",
    [
        ("zoe", "acme", "", 403, "not-a-member"),
        ("ana", "zenith", "", 404, "community-not-found"),
        ("shop", "acme", "purchases:write", 403, "scope-missing"),
        ("desk", "zenith", "scores:read", 404, "community-not-found"),
    ],
)
async def test_who_may_not_read_the_board_may_not_watch_it(
    desk: Desk, told: tuple[Story, str], person: str, organization: str, scope: str, status: int, reason: str
) -> None:
    headers = desk.bearer(person, organization, scope=scope)
    async with reading(desk.board(told[1]), headers) as stream:
        assert (stream.answer.status_code, stream.answer.json()["type"]) == (status, f"/problems/{reason}")


async def test_without_token_and_ticket_nobody_watches(desk: Desk, told: tuple[Story, str]) -> None:
    async with reading(desk.board(told[1])) as stream:
        assert (stream.answer.status_code, stream.answer.json()["type"]) == (401, "/problems/token-missing")


async def test_who_may_read_all_scores_watches_without_a_place(
    desk: Desk, feeder: Feeder, told: tuple[Story, str]
) -> None:
    story, community = told
    async with reading(desk.board(community), desk.bearer("desk", scope="scores:read")) as stream:
        assert (await stream.next()).data["me"] is None
        await feeder.apply([story.published("bo", community)])
        assert (await stream.next()).name == "change"


async def test_a_lost_connection_to_the_database_ends_no_stream(
    desk: Desk, feeder: Feeder, told: tuple[Story, str], pool: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    story, community = told
    async with desk.watch("ana", community) as stream:
        await stream.next()
        await pool.execute(
            """
            select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and application_name like 'qunli scoring%'
            """
        )
        await feeder.apply([story.published("bo", community)])
        assert standing(await stream.next()) == {"ana": 20, "bo": 20}


async def test_streams_end_cleanly_with_the_process(
    desk: Desk, told: tuple[Story, str], caplog: pytest.LogCaptureFixture
) -> None:
    async with desk.watch("ana", told[1]) as stream:
        await stream.next()
        await desk.address.stop()
        end = await stream.next()
        assert (end.name, end.data) == ("end", {"reason": "shutting-down"})
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


@pytest.fixture
async def watched(scoring: Served, told: tuple[Story, str]) -> AsyncIterator[tuple[Live, Events]]:
    """The events that ana gets, one by one, as fast as the test takes them."""
    watching = Live(Leaderboards(scoring.kernel.reader))
    events = watching.events(Reader("acme", "ana", all_scores=False), told[1], Metric.POINTS, None)
    yield watching, events
    await events.aclose()


async def test_a_slow_reader_gets_a_snapshot_in_place_of_a_backlog(
    watched: tuple[Live, Events], feeder: Feeder, told: tuple[Story, str]
) -> None:
    story, community = told
    events = watched[1]
    first = await anext(events)
    assert first is not None and first.name == "snapshot"
    for _ in range(3):
        await feeder.apply([story.published("bo", community)])
        await asyncio.sleep(3 * live.LOOK_SECONDS)
    late = await anext(events)
    assert late is not None and late.name == "snapshot"
    assert '"person":"bo","value":40' in late.data
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await anext(events)


async def test_nobody_looks_when_nobody_watches(
    watched: tuple[Live, Events], feeder: Feeder, told: tuple[Story, str]
) -> None:
    watching, events = watched
    await anext(events)
    task = watching._task
    assert task is not None and not task.done()
    await events.aclose()
    async with asyncio.timeout(5):
        await task
    again = watching.events(ANYBODY, told[1], Metric.POINTS, None)
    assert await anext(again) is not None
    assert watching._task is not task
    await again.aclose()
