"""The declared tables are those of the migrations."""

from services.membership.readmodels import CommunityRow
from tests.support.serving import Served
from tests.support.tables import check_tables


async def test_the_tables_are_as_declared(membership: Served) -> None:
    await check_tables(membership.dsn, CommunityRow.metadata)
