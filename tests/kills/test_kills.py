"""Every named point of the code is hit by SIGKILL, under load: nothing acknowledged is lost, nothing is applied twice."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres
from shared.failpoints import POINTS
from shared.messaging.logs import open_log
from tests.kills.check import check_log, check_scores, check_writes, until_quiet
from tests.kills.load import Load
from tests.kills.poison import heal_and_replay, plant_poison
from tests.kills.world import PERSONS, World, world
from tests.support.processes import Role

KILL_SECONDS = 90
CLIENTS = 12

VICTIMS = {
    "gateway": "content api",
    "relay": "content relay",
    "consumer": "scoring consume",
    "scoring": "scoring consume",
}
"""Who is killed at a point, by the first part of the point's name. Those of dead letters have a test of their own, and so
have those of a rebuild (tests/scoring/test_rebuild.py) and of the tasks in the background (tests/chaos)."""

ELSEWHERE = {"consumer.in-revoke"} | {
    point for point in POINTS if point.startswith(("deadletters.", "rebuild.", "attribution.", "settler."))
}


ONCE = "scoring.before-split-commit"
"""Reached once only: there is one bucket to split. So it comes first."""


AT_THE_LOG = frozenset(
    {
        "relay.after-send",
        "relay.after-first-ack",
        "relay.after-all-acks",
        "relay.after-checkpoint",
        "consumer.after-fetch",
        "consumer.before-commit",
        "consumer.after-commit",
        "consumer.before-advisory-commit",
        "gateway.after-commit",
    }
)
"""Where it matters which log it is."""


def points_of(role: str, points: frozenset[str]) -> list[str]:
    """Those of the failpoints that one victim has, each to be armed in turn; some hits later than the first, so that
    work gets through.
    """
    own = sorted(point for point in points if VICTIMS[point.split(".")[0]] == role)
    own.sort(key=lambda point: point != ONCE)
    return [f"{point}=kill@{1 if point == ONCE else 3}" for point in own]


async def kill_in_turn(role: Role, armed: list[str]) -> None:
    """Let the role die at each point and come back, the next point armed; then leave it running."""
    await role.start(armed[0])
    for following in [*armed[1:], ""]:
        await role.until_killed(KILL_SECONDS)
        await role.start(following)
    await role.until_ready()


async def under_load(place: World, points: frozenset[str], *, seed: int) -> Load:
    load = Load(place.roles["content api"].url, place.community, PERSONS, place.token, seed=seed)
    running = asyncio.create_task(load.run(CLIENTS))
    try:
        async with asyncio.TaskGroup() as group:
            for name, role in place.roles.items():
                group.create_task(kill_in_turn(role, points_of(name, points)))
    finally:
        load.stop()
        await running
    return load


async def check_all(place: World, load: Load) -> None:
    await until_quiet(place, 60)
    await check_writes(place, load)
    log = await open_log(place.settings["content"], client_id="check")
    try:
        await check_log(place, log)
    finally:
        await log.close()
    await check_scores(place)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("kind", "points"),
    [("local", POINTS - ELSEWHERE), pytest.param("kafka", AT_THE_LOG, marks=pytest.mark.kafka)],
    ids=["every point", "on Kafka"],
)
async def test_a_kill_at_each_point_loses_nothing_and_repeats_nothing(
    kind: str, points: frozenset[str], postgres: EmbeddedPostgres, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    kafka: EmbeddedKafka | None = request.getfixturevalue("private_kafka") if kind == "kafka" else None
    servers = kafka.bootstrap_servers if kafka else "127.0.0.1:1"
    async with world(postgres, tmp_path, f"kills_{kind}", log=kind, kafka=servers) as place:
        load = await under_load(place, points, seed=7)
        assert len(load.published) > 100, "too little load to prove anything"
        await check_all(place, load)
        reached = Counter(place.hits.read_text().split())
        unreached = points - reached.keys()
        assert unreached == set(), "points that no kill reached"


@pytest.mark.timeout(120)
async def test_a_kill_while_a_key_is_parked_or_replayed_changes_nothing(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    async with world(postgres, tmp_path, "kills_parked", log="local") as place:
        api, relay, consumer = (place.roles[name] for name in ("content api", "content relay", "scoring consume"))
        await api.start()
        await api.until_ready()
        value = await plant_poison(place)
        await relay.start()
        load = Load(api.url, place.community, PERSONS, place.token, seed=3)
        running = asyncio.create_task(load.run(4))
        await consumer.start("deadletters.after-park=kill@1")
        await consumer.until_killed(KILL_SECONDS)
        await consumer.start()
        await asyncio.sleep(1)
        load.stop()
        await running
        await until_quiet(place, 30)
        await heal_and_replay(
            place, value, kill_at=("deadletters.before-replay-commit", "deadletters.after-replay-commit")
        )
        await check_all(place, load)
        reached = set(place.hits.read_text().split())
        assert {point for point in POINTS if point.startswith("deadletters.")} <= reached


@pytest.mark.kafka
@pytest.mark.timeout(120)
async def test_a_kill_while_partitions_are_taken_away_changes_nothing(
    postgres: EmbeddedPostgres, private_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    async with world(postgres, tmp_path, "kills_revoke", log="kafka", kafka=private_kafka.bootstrap_servers) as place:
        api, relay, consumer = (place.roles[name] for name in ("content api", "content relay", "scoring consume"))
        second = Role("scoring", "consume", place.environment["scoring"], place.hits, place.output)
        # The listener is also called before the first assignment: the second call is the one that takes partitions away.
        await asyncio.gather(api.start(), relay.start(), consumer.start("consumer.in-revoke=kill@2"))
        await asyncio.gather(api.until_ready(), relay.until_ready(), consumer.until_ready())
        load = Load(api.url, place.community, PERSONS, place.token, seed=5)
        running = asyncio.create_task(load.run(4))
        try:
            await second.start()
            await consumer.until_killed(KILL_SECONDS)
            await asyncio.sleep(1)
            load.stop()
            await running
            await check_all(place, load)
        finally:
            await second.stop()
        assert "consumer.in-revoke" in place.hits.read_text()
