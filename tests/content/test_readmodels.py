"""The declared tables are those of the migrations, and a feed reads no more than its page."""

from services.content.readmodels import PostRow
from tests.support.serving import Served
from tests.support.tables import check_tables


async def test_the_tables_are_as_declared(content: Served) -> None:
    await check_tables(content.dsn, PostRow.metadata)
