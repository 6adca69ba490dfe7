"""The declared tables are those of the migrations, so numbers as large as theirs can be asked for."""

import asyncpg

from services.scoring.readmodels import JournalRow
from shared.http.pages import encode_cursor
from tests.support.serving import Served
from tests.support.tables import check_tables


async def test_the_tables_are_as_declared(scoring_database: str) -> None:
    await check_tables(scoring_database, JournalRow.metadata)


async def test_a_cursor_may_be_as_large_as_a_journal_number(
    scoring: Served, pool: "asyncpg.Pool[asyncpg.Record]"
) -> None:
    await pool.execute("insert into persons (organization, person, lane) values ('acme', 'ana', 3)")
    for number in (2**31, 2**63 - 1, -(2**63)):
        page = await scoring.person("ana").get(f"/v1/people/me/entries?after={encode_cursor(number)}")
        assert (page.status_code, page.json()) == (200, {"items": [], "next": None})
