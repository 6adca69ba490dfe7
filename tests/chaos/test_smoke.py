"""A few episodes on each log, with faults that are named here; `make chaos` plays as many as there is time for."""

import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.failpoints import POINTS
from tests.chaos import process_faults, server_faults
from tests.chaos.episode import play, verdict
from tests.chaos.fault import Fault
from tests.chaos.process_faults import kill_at
from tests.chaos.world import DEFINITIONS, ROLES, World, cluster, world
from tests.support.forge import forge


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here every fault must have its effect, however busy the machine is."""
    monkeypatch.setattr(process_faults, "REACH_SECONDS", 120.0)


@asynccontextmanager
async def place(log: str) -> AsyncIterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="qunli-chaos-"))
    folder.chmod(0o755)
    try:
        with cluster(folder) as (postgres, disk):
            async with forge() as made:
                kafka = folder / "kafka" if log == "kafka" else None
                async with world(postgres, disk, made.launch, folder / "world", "smoke", kafka=kafka) as found:
                    yield found
    finally:
        shutil.rmtree(folder)


async def kept_through(found: World, episodes: Sequence[Sequence[Fault]]) -> None:
    for number, injected in enumerate(episodes, start=1):
        episode = await play(found, number, list(injected))
        assert episode.violations == [], episode.told()
        assert episode.missed == [], episode.told()
    assert len(found.history.acknowledged) > 50 * len(episodes), "too little load to prove anything"
    assert found.history.retries > 0
    assert len(found.history.readings) > 10


@pytest.mark.postgres
@pytest.mark.timeout(600)
async def test_promises_are_kept_on_the_local_log() -> None:
    chance = random.Random(1)
    async with place("local") as found:
        settler, attribution, content = (
            found.roles[name] for name in ("membership consume", "campaigns consume", "content api")
        )
        episodes = [
            [kill_at(settler, "settler.after-settling"), kill_at(attribution, "attribution.before-chains")],
            [server_faults.postgres_restarted(chance, found), process_faults.wrong_clock(chance, found)],
            [kill_at(content, "gateway.after-append", 2), server_faults.held_transaction(chance, found)],
            [process_faults.stopped_before_commit(found.roles["second content api"], 1, 1.5)],
        ]
        if found.disk is not None:
            episodes.append([server_faults.disk_full(chance, found)])
        await kept_through(found, episodes)
        await the_verdict_notices_damage(found)


async def the_verdict_notices_damage(found: World) -> None:
    """To what is really stored, read as it is read after every episode."""
    for service, damage, complaint in (
        ("scoring", "update standings set points = points + 1 where points > 0", "sums: standings lacks"),
        ("scoring", "delete from journal where (lane, seq) in (select lane, seq from journal limit 1)", "lost: "),
        ("content", "delete from events where type = 'post-published.v1'", "lost: post-published.v1"),
        ("campaigns", "delete from idempotency_keys where key like 'key-order%'", "is kept 0 times"),
    ):
        connection = await found.connect(service)
        try:
            await connection.execute(damage)
        finally:
            await connection.close()
        noticed = await verdict(found)
        assert any(complaint in violation for violation in noticed), noticed


@pytest.mark.kafka
@pytest.mark.timeout(600)
async def test_promises_are_kept_on_kafka() -> None:
    chance = random.Random(2)
    async with place("kafka") as found:
        api, relay, scoring = (found.roles[name] for name in ("content api", "content relay", "scoring consume"))
        await kept_through(
            found,
            [
                [server_faults.broker_restarted(chance, found), kill_at(api, "gateway.after-commit")],
                [process_faults.stopped(relay, cut=True), kill_at(scoring, "consumer.before-commit")],
            ],
        )


def test_every_failpoint_of_a_process_that_runs_for_good_is_drawn() -> None:
    drawn = {point for service in DEFINITIONS for role in ROLES for point in process_faults.points_of(service, role)}
    assert drawn == POINTS - process_faults.ELSEWHERE
    assert {
        point.split(".")[0]
        for point in process_faults.ELSEWHERE - {"consumer.in-revoke", "scoring.before-split-commit"}
    } == {
        "deadletters",
        "rebuild",
    }
