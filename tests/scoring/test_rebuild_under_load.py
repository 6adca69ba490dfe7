"""Rebuild, comparison and swap while people post and read over HTTP: nobody sees a gap, a fall, an error or a difference."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from services.content.definition import CONTENT
from services.scoring.definition import SCORING
from tests.scoring.busy import POINTS, Busy, name_of, running_services, until_quiet
from tests.scoring.recomputing import recomputed
from tests.scoring.tables import tables
from tests.scoring.test_boards import counted
from tests.scoring.test_rebuild import run_command
from tests.support.databases import Databases

COMMANDS_A_SECOND = 150
LONGEST_SECONDS = 30.0
"""No request may take so long, also on a machine that has far too much to do."""

Dsns = dict[str, str]


@pytest.fixture
async def dsns(databases: Databases, anyio_backend: str) -> AsyncIterator[Dsns]:
    async with (
        databases.fresh(template=await databases.template(*CONTENT.migrations)) as content,
        databases.fresh(template=await databases.template(*SCORING.migrations)) as scoring,
        databases.fresh() as log,
    ):
        yield {"content": content, "scoring": scoring, "log": log}


@pytest.mark.timeout(300)
async def test_nobody_notices_a_rebuild_that_is_killed_twice_and_then_swapped(dsns: Dsns, tmp_path: Path) -> None:
    """150 posts a second, if the machine can: the output and every failure tell the rate that was reached. Boards, own
    places, points, entries and a stream are read all the while.
    """
    scoring, log = dsns["scoring"], dsns["log"]
    async with running_services(dsns, tmp_path) as busy:
        connection = await asyncpg.connect(scoring)
        try:
            was = await connection.fetchval("select 'public.standings'::regclass::oid")
            async with busy.at(COMMANDS_A_SECOND):
                await asyncio.sleep(0.5)
                code, _ = await run_command(scoring, "--swap", failing="rebuild.before-page-commit=kill@4", log=log)
                assert code == -signal.SIGKILL
                code, told = await run_command(scoring, "--swap", failing="rebuild.before-swap-commit=kill", log=log)
                assert code == -signal.SIGKILL
                assert "going on with an earlier rebuild" in told
                assert await connection.fetchval("select 'public.standings'::regclass::oid") == was
                code, told = await run_command(scoring, "--swap", failing="rebuild.after-page=sleep:0.02", log=log)
                assert code == 0, told
                assert "the rebuilt tables are the live ones now; 0 rows were different" in told
                assert await connection.fetchval("select 'public.standings'::regclass::oid") != was
                await asyncio.sleep(0.5)
            print(busy.told())
            await until_quiet(scoring, busy)
            await check_numbers(connection, busy)
        finally:
            await connection.close()
        code, told = await run_command(scoring, log=log)
        assert code == 0, told
        assert busy.longest < LONGEST_SECONDS
        assert {"board", "place", "balance", "entries", "own write", "stream"} == busy.reads.keys()


async def check_numbers(connection: asyncpg.Connection, busy: Busy) -> None:
    """Against what the clients know, and against a second computation of everything from the journal."""
    stored = await tables(connection)
    points = {row[1]: row[6] for row in stored["standings"] if row[6]}
    assert points == {name_of(person): POINTS * posts for person, posts in busy.acknowledged.items()}
    assert sorted(((row[0], row[1], row[4], *row[5:7]) for row in stored["standings"]), key=repr) == await recomputed(
        connection
    )
    given = await connection.fetch("select person_no, sum(points_given)::int from point_entries group by 1")
    assert {number: total for number, total in given if total} == dict(
        await connection.fetch("select person_no, sum(points)::int from standings where points <> 0 group by 1")
    )
    assert await counted(connection) == []
    assert await connection.fetchval("select count(*) from dead_letters") == 0
