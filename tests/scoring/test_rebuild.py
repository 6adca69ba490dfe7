"""The journal gives the tables anew, beside lanes that go on, however often it is cut off; and they take their place."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scoring.bulk import read_persons
from services.scoring.comparison import COMPARED
from services.scoring.projections import ScoringProjection
from services.scoring.rebuild import Rebuild, connections
from services.scoring.shadow import TABLES
from shared import failpoints, rebuilding
from shared.comparison import Outcome, report
from shared.database import Pool
from shared.failpoints import FailpointError
from shared.messaging.lanes import Chunk, Lanes
from shared.rebuilding import Say
from shared.shadow import open_shadow
from tests.scoring.feeder import Feeder, as_records
from tests.scoring.publishing import STINGY, publish_rules
from tests.scoring.story import LANES, NOON, Story
from tests.scoring.tables import empty, tables
from tests.scoring.test_boards import counted
from tests.scoring.test_projections import ACTIONS, history, merged
from tests.support.serving import Served

CORRUPTIONS = {
    "point_entries": "update point_entries set points_given = points_given + 1 where seq = 2",
    "day_counts": "delete from day_counts where n = 1",
    "standings": "update standings set points = points + 7",
    "orders": "update orders set refunded = refunded + 1",
    "commission_entries": "update commission_entries set rate = rate + 1 where refund is null",
    "commission_standings": "update commission_standings set commission = commission - 1 where commission > 0",
    "rank_buckets": "update rank_buckets set members = members + 1 where metric = 2",
}
"""By table, what nothing but a fault does to it."""


@asynccontextmanager
async def rebuild_of(
    dsn: str, *, page_rows: int = 5, lanes: int = LANES, say: Say = lambda _: None
) -> AsyncIterator[Rebuild]:
    """As another process would run it."""
    pool = await open_shadow(dsn, name="qunli scoring rebuild", size=connections(2))
    try:
        yield Rebuild(pool, range(lanes), page_rows=page_rows, say=say)
    finally:
        await pool.close()


async def rebuilt(dsn: str, *, swap: bool = False, page_rows: int = 5) -> list[Outcome]:
    """What a whole rebuild finds."""
    async with rebuild_of(dsn, page_rows=page_rows) as rebuild:
        await rebuild.prepare()
        await rebuild.catch_up()
        outcomes = await rebuild.compare()
        if swap:
            await rebuild.swap()
    return outcomes


def different(outcomes: Sequence[Outcome]) -> Mapping[str, int]:
    return {outcome.table: outcome.different for outcome in outcomes if outcome.different}


def trade(story: Story, community: str, buyers: int) -> list[Any]:
    """Members who post and buy, some of whose orders are refunded in part; all owe commission to one of them."""
    facts = [story.joined(f"buyer{number}", community) for number in range(buyers)]
    for number in range(buyers):
        bought = story.bought(f"buyer{number}", community, 10_000 + number)
        facts += [story.published(f"buyer{number}", community), bought, story.attributed(bought, "buyer0")]
        if number % 3 == 0:
            facts.append(story.refunded(bought, 333))
    return facts


async def traded(pool: Pool, story: Story, buyers: int = 12) -> str:
    """Such a history, folded; its community."""
    community = story.community()
    async with pool.acquire() as connection:
        await Feeder(connection).apply(trade(story, community, buyers))
    return community


def arm(monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    monkeypatch.setattr(failpoints, "_armed", failpoints._parse(point))


async def definitions(pool: Pool) -> list[Any]:
    """Columns, constraints, indexes, storage parameters and sequences of what is rebuilt."""
    rows = await pool.fetch(
        """
        select attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
               pg_get_expr(adbin, adrelid), attcollation::regcollation::text
          from pg_attribute
          left join pg_attrdef on (adrelid, adnum) = (attrelid, attnum)
         where attrelid = any ($1::text[]::regclass[]) and attnum > 0
         union all
        select conrelid::regclass::text, conname, pg_get_constraintdef(oid), null, contype, null, null
          from pg_constraint where conrelid = any ($1::text[]::regclass[])
         union all
        select tablename, indexname, indexdef, null, null, null, null
          from pg_indexes where schemaname = 'public' and tablename = any ($1)
         union all
        select relname, pg_get_serial_sequence(relname, 'entry_no'), reloptions::text, null, null, null, null
          from pg_class where relname = 'commission_entries' and relnamespace = 'public'::regnamespace
         union all
        select relname, 'storage', reloptions::text, null, null, null, null
          from pg_class where oid = any ($1::text[]::regclass[])
         order by 1, 2, 3
        """,
        list(TABLES),
    )
    return [tuple(row) for row in rows]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(ACTIONS, min_size=1, max_size=60), seed=st.integers(0, 2**32))
async def test_the_journal_of_any_history_gives_the_same_tables(
    scoring_database: str, pool: Pool, actions: list[Any], seed: int
) -> None:
    """Wherever in it the rebuild began: what was there already it folds person by person, the rest as it came. Also when
    rules were published later for times before: the version that was journaled counts."""
    chance = random.Random(seed)
    async with pool.acquire() as connection:
        await empty(connection)
        await connection.execute("truncate ruleset_versions restart identity; drop schema if exists rebuild cascade")
        await publish_rules(connection, STINGY, NOON - timedelta(days=chance.randint(0, 2)))
        feeder, facts = Feeder(connection), merged(history(actions), chance)
        begins_at = chance.randint(0, len(facts) * 2)
        while facts:
            if len(facts) <= begins_at:
                begins_at = -1
                async with rebuild_of(scoring_database) as rebuild:
                    await rebuild.prepare()
            size = chance.randint(1, 12)
            await feeder.apply(facts[:size])
            facts = facts[size:]
        await publish_rules(connection, STINGY, NOON - timedelta(days=9), organization="zenith")
        before = await tables(connection)
        entries = await connection.fetch("select entry_no, entry from commission_entries order by 1")
        outcomes = await rebuilt(scoring_database, swap=True, page_rows=chance.randint(1, 9))
        assert different(outcomes) == {}
        assert await tables(connection) == before
        assert await connection.fetch("select entry_no, entry from commission_entries order by 1") == entries
        assert sum(outcome.rows for outcome in outcomes) >= len(before["standings"])


def test_every_table_but_the_stamp_is_compared() -> None:
    assert {*COMPARED, "rank_layout"} == {*TABLES}
    assert CORRUPTIONS.keys() == COMPARED.keys()


@pytest.mark.parametrize("table", CORRUPTIONS)
async def test_a_corrupted_row_is_found_and_named_and_gone_after_the_swap(
    scoring_database: str, pool: Pool, table: str
) -> None:
    await traded(pool, Story())
    async with pool.acquire() as connection:
        before = await tables(connection)
        await connection.execute(CORRUPTIONS[table])
        assert await tables(connection) != before
        outcomes = await rebuilt(scoring_database, swap=True)
        assert list(different(outcomes)) == [table]
        (found,) = (outcome for outcome in outcomes if outcome.table == table)
        told = list(report(outcomes))
        assert f"{table}: {found.rows} rows, {found.different} different" in told
        assert f"    live    {found.first[0].live or 'missing'}" in told
        assert found.first[0].live != found.first[0].rebuilt
        assert len(found.first) == min(5, found.different)
        assert await tables(connection) == before
        assert different(await rebuilt(scoring_database)) == {}


async def test_what_was_swapped_in_is_defined_as_before_and_its_numbers_go_on(
    scoring_database: str, pool: Pool
) -> None:
    story = Story()
    community = await traded(pool, story)
    before = await definitions(pool)
    last = await pool.fetchval("select max(entry_no) from commission_entries")
    await rebuilt(scoring_database, swap=True)
    assert await definitions(pool) == before
    assert await pool.fetchval("select count(*) from pg_namespace where nspname = 'rebuild'") == 0
    async with pool.acquire() as connection:
        await Feeder(connection).apply(trade(story, community, 1)[1:])
    new = await pool.fetch("select entry_no from commission_entries where entry_no > $1", last)
    assert len(new) == 2


async def test_an_entry_that_the_live_table_lacks_gets_a_number_that_nobody_has(
    scoring_database: str, pool: Pool
) -> None:
    await traded(pool, Story())
    before = await pool.fetchval("select count(*) from commission_entries")
    last = await pool.fetchval("select max(entry_no) from commission_entries")
    await pool.execute("delete from commission_entries where entry_no in (2, 3)")
    assert different(await rebuilt(scoring_database, swap=True)) == {"commission_entries": 2}
    assert await pool.fetchval("select count(*) from commission_entries") == before
    assert await pool.fetchval("select count(*) from commission_entries where entry_no > $1", last) == 2


async def fold_slowly(lanes: Lanes, chunks: Sequence[Chunk], between: float) -> None:
    """As the consumer does, a few records of every lane at a time."""
    longest = max(len(records) for _, records in chunks)
    for start in range(0, longest, 3):
        done = await lanes.fold([(partition, records[start : start + 3]) for partition, records in chunks])
        assert not done.halts
        await asyncio.sleep(between)


async def test_lanes_go_on_during_a_rebuild_and_after_the_swap(scoring_database: str, pool: Pool) -> None:
    story = Story()
    community = story.community()
    facts = trade(story, community, 60)
    chunks = as_records(facts)
    lanes = Lanes(ScoringProjection(), pool)
    async with asyncio.timeout(60):
        feeding = asyncio.create_task(fold_slowly(lanes, chunks, 0.02))
        while not await pool.fetchval("select exists (select from journal)"):
            await asyncio.sleep(0.01)
        swaps = 0
        while not feeding.done():
            assert different(await rebuilt(scoring_database, swap=True)) == {}
            swaps += 1
        await feeding
    assert swaps > 0
    assert await pool.fetchval("select count(*) from dead_letters") == 0
    assert await pool.fetchval("select count(*) from journal") == len(facts)
    assert different(await rebuilt(scoring_database)) == {}
    async with pool.acquire() as connection:
        assert await counted(connection) == []
        stored = await tables(connection)
        await empty(connection)
        await Feeder(connection).apply(facts)
        assert await tables(connection) == stored


@pytest.mark.parametrize("point", ["rebuild.before-page-commit", "rebuild.after-page", "rebuild.before-swap-commit"])
async def test_cut_off_anywhere_it_is_resumed_and_ends_the_same(
    scoring_database: str, pool: Pool, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    await traded(pool, Story())
    async with pool.acquire() as connection:
        before = await tables(connection)
    for hit in (1, 2, 3):
        with monkeypatch.context() as broken:
            arm(broken, f"{point}=raise@{hit if 'page' in point else 1}")
            with pytest.raises(FailpointError):
                await rebuilt(scoring_database, swap=True)
        async with pool.acquire() as connection:
            assert await tables(connection) == before
    progress = await pool.fetchval("select sum(seq)::int from rebuild.progress")
    assert progress > 0
    assert different(await rebuilt(scoring_database, swap=True)) == {}
    async with pool.acquire() as connection:
        assert await tables(connection) == before


async def run_command(dsn: str, *arguments: str, failing: str = "", log: str | None = None) -> tuple[int, str]:
    """The command as an operator runs it: its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.scoring", "rebuild", *arguments,
        env={**os.environ, "PYTHONPATH": ".", "QUNLI_MODE": "local", "QUNLI_DATABASE_URL": dsn, "QUNLI_FAILPOINTS": failing,
             "QUNLI_LOG": "local", "QUNLI_LOCAL_LOG_URL": log or dsn},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.timeout(300)
async def test_the_command_survives_sigkill_tells_what_differs_and_mends_it(scoring_database: str, pool: Pool) -> None:
    await traded(pool, Story())
    await pool.execute(CORRUPTIONS["standings"])
    code, _ = await run_command(scoring_database, failing="rebuild.before-page-commit=kill@2")
    assert code == -signal.SIGKILL
    code, told = await run_command(scoring_database)
    assert code == 1
    assert "going on with an earlier rebuild, which has folded " in told
    assert "standings: 12 rows, 12 different" in told
    assert "--swap replaces them" in told
    code, told = await run_command(scoring_database, "--swap", failing="rebuild.before-swap-commit=kill")
    assert code == -signal.SIGKILL
    code, told = await run_command(scoring_database, "--swap", "--fresh")
    assert code == 0, told
    assert "earlier rebuild" not in told
    code, told = await run_command(scoring_database)
    assert code == 0, told
    assert "standings: 12 rows, 0 different" in told


async def test_readers_see_the_old_tables_or_the_new_and_wait_for_no_long(scoring_database: str, pool: Pool) -> None:
    await traded(pool, Story())
    await pool.execute("update standings set points = points + 1")
    await pool.execute("update day_counts set score = score + 1")
    query = "select sum(points)::int, (select sum(score)::int from day_counts) from standings"
    old = await pool.fetchrow(query)
    seen, done = [], asyncio.Event()

    async def read() -> None:
        async with pool.acquire() as connection:
            while not done.is_set():
                seen.append(await connection.fetchrow(query))

    reading = [asyncio.create_task(read()) for _ in range(3)]
    async with asyncio.timeout(30):
        await rebuilt(scoring_database, swap=True)
        new = await pool.fetchrow(query)
        while new not in seen:
            await asyncio.sleep(0.01)
        done.set()
        await asyncio.gather(*reading)
    assert new != old
    assert {*seen} == {old, new}


async def test_a_swap_waits_for_nobody_for_long_but_tries_again(
    scoring_database: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "PAUSE_SECONDS", 0.1)
    await traded(pool, Story())
    said: list[str] = []
    async with rebuild_of(scoring_database, say=said.append) as rebuild:
        await rebuild.prepare()
        await rebuild.catch_up()
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("select from commission_standings")
            swapping = asyncio.create_task(rebuild.swap())
            async with asyncio.timeout(20):
                while not any(text.startswith("trying again") for text in said):
                    await asyncio.sleep(0.05)
            assert await connection.fetchval("select count(*) from pg_namespace where nspname = 'rebuild'") == 1
        async with asyncio.timeout(20):
            await swapping
    assert await pool.fetchval("select count(*) from pg_namespace where nspname = 'rebuild'") == 0


async def test_a_journal_with_a_gap_is_not_folded(scoring_database: str, pool: Pool) -> None:
    await traded(pool, Story())
    await pool.execute("delete from journal where seq = 2")
    with pytest.raises(ValueError, match="rows are missing from the journal of lane"):
        await rebuilt(scoring_database)


async def test_a_row_that_cannot_be_folded_is_named(scoring_database: str, pool: Pool) -> None:
    await traded(pool, Story())
    await pool.execute(
        "update journal set kind = 9, act_day = day from (select date '2020-01-01' as day) x where kind = 5"
    )
    with pytest.raises(ValueError, match=r"journal of lane \d, row \d+: .* has no comment_added of 2020-01-01 left"):
        await rebuilt(scoring_database)


async def test_a_wrong_number_of_lanes_is_refused(scoring_database: str, pool: Pool) -> None:
    await traded(pool, Story())
    async with rebuild_of(scoring_database, lanes=1) as rebuild:
        with pytest.raises(ValueError, match="number of partitions"):
            await rebuild.prepare()


async def test_rules_published_later_for_times_before_do_not_count(scoring_database: str, pool: Pool) -> None:
    await traded(pool, Story())
    async with pool.acquire() as connection:
        await publish_rules(connection, STINGY, NOON - timedelta(days=1))
    assert different(await rebuilt(scoring_database)) == {}


async def test_what_a_process_remembers_of_a_lane_is_old_after_the_swap(scoring_database: str, pool: Pool) -> None:
    story = Story()
    community = await traded(pool, story)
    await pool.execute("update standings set points = points + 7")
    chunks = as_records([story.published("buyer1", community) for _ in range(2)])
    lanes = Lanes(ScoringProjection(), pool)
    await lanes.fold([(partition, records[:1]) for partition, records in chunks])
    assert different(await rebuilt(scoring_database, swap=True)) == {"standings": 12}
    await lanes.fold(chunks)
    assert await pool.fetchval("select max(points) from standings where person = 'buyer1'") == 130
    assert different(await rebuilt(scoring_database)) == {}


async def test_a_row_that_says_nothing_is_no_difference(scoring_database: str, pool: Pool) -> None:
    """As the migration that made the table left them, of whoever had posted and never joined."""
    await traded(pool, Story())
    await pool.execute("insert into commission_standings select 'guest', min(community_no), 0, false from communities")
    assert different(await rebuilt(scoring_database)) == {}


async def test_two_rebuilds_at_once_share_the_work(scoring_database: str, pool: Pool) -> None:
    await traded(pool, Story(), 40)
    async with rebuild_of(scoring_database, page_rows=3) as one, rebuild_of(scoring_database, page_rows=4) as other:
        await one.prepare()
        await other.prepare()
        await asyncio.gather(one.catch_up(), other.catch_up())
        assert different(await one.compare()) == {}


async def test_what_a_rebuild_remembers_of_a_lane_is_old_once_somebody_began_anew(
    scoring_database: str, pool: Pool
) -> None:
    """On another journal, as after a restore: the same journal numbers are reached by other rows."""
    story = Story()
    community = story.community()
    facts = [story.joined("ana", community), *(story.published("ana", community) for _ in range(2))]
    others = [*facts[:1], *(story.shared("ana", community) for _ in range(2))]
    async with pool.acquire() as connection, rebuild_of(scoring_database, page_rows=2) as surviving:
        await surviving.prepare()
        await Feeder(connection).apply(facts)
        await surviving.catch_up()
        await empty(connection)
        feeder = Feeder(connection)
        async with rebuild_of(scoring_database, page_rows=2) as other:
            await other.prepare(fresh=True)
            await feeder.apply(others)
            await other.catch_up()
        await feeder.apply([story.shared("ana", community)])
        await surviving.catch_up()
        assert different(await surviving.compare()) == {}


async def test_a_rebuild_whose_tables_another_one_has_swapped_writes_nothing_more(
    scoring_database: str, pool: Pool
) -> None:
    await traded(pool, Story())
    async with pool.acquire() as connection:
        before = await tables(connection)
    async with rebuild_of(scoring_database) as late:
        await late.prepare()
        await rebuilt(scoring_database, swap=True)
        with pytest.raises(asyncpg.UndefinedTableError):
            await late.catch_up()
    async with pool.acquire() as connection:
        assert await tables(connection) == before


@pytest.mark.parametrize("page_rows", [1, 3, 1000])
async def test_nobodys_rows_are_divided(pool: Pool, page_rows: int) -> None:
    """However few are read at a time: everybody's come at once, in order."""
    await traded(pool, Story(), 40)
    seen: list[tuple[int, int]] = []
    async with pool.acquire() as connection, connection.transaction():
        async for persons in read_persons(connection, 1, 10_000, 0, page_rows):
            rows = [(row[0], row[2]) for row in persons.rows]
            assert not {person for person, _ in rows} & {person for person, _ in seen}
            assert persons.last == rows[-1][0]
            seen += rows
    assert seen == [
        tuple(row) for row in await pool.fetch("select person_no, seq from journal where lane = 1 order by 1, 2")
    ]
    assert len({person for person, _ in seen}) > 5


async def test_requests_are_answered_alike_before_and_after_a_swap(
    scoring_database: str, scoring: Served, told: tuple[Story, str]
) -> None:
    """Over connections that have prepared their statements on the tables that are gone then."""
    ana, board = scoring.person("ana"), f"/v1/communities/{told[1]}/leaderboards/points"
    paths = [board, f"{board}/me", "/v1/people/me/entries"]
    before = [await ana.get(path) for path in paths for _ in range(8)]
    assert [answer.status_code for answer in before] == [200] * len(before)
    await rebuilt(scoring_database, swap=True)
    after = [await ana.get(path) for path in paths for _ in range(8)]
    assert [answer.json() for answer in after] == [answer.json() for answer in before]
