"""`make import` of data that real people made, over both logs: every board is what the oracle works out from the files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.imports import Imported, Ranked, board, import_files, read_items
from tests.oracle.realfiles import Expected, expected_of_cdnow, expected_of_stack_exchange, read_cdnow, referrers_of
from tests.support.published import checked_kafka
from tests.support.system import ROOT, System, running_system

pytestmark = pytest.mark.timeout(900)

DATA = ROOT.parent / "shared" / "data"
DUMP = DATA / "stackexchange-conlang-meta"
CDNOW = DATA / "cdnow" / "CDNOW_sample.txt"


def absent(place: Path) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not place.exists(), reason=f"the real data are not at {os.path.relpath(place, ROOT)}")


@pytest.fixture(
    scope="module",
    params=[pytest.param("local", marks=pytest.mark.postgres), pytest.param("kafka", marks=pytest.mark.kafka)],
)
def whole(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[System]:
    """A system of its own on each log."""
    if request.param == "local":
        with running_system() as running:
            yield running
    else:
        with (
            checked_kafka(server_folder / "kafka-real-data") as broker,
            running_system(kafka=broker.bootstrap_servers) as running,
        ):
            yield running


def boards(system: System, imported: Imported) -> dict[str, list[Ranked]]:
    return {metric: board(system, imported, metric) for metric in ("activity", "points", "commission")}


def assert_as_expected(boards: dict[str, list[Ranked]], expected: Expected) -> None:
    """All three boards whole: who stands where, with how many points and how much commission."""
    assert [place[:2] for place in boards["activity"]] == expected.activity
    assert boards["points"] == [(*place, expected.points[place[1]]) for place in expected.points_board]
    assert boards["commission"] == [(*place, expected.commission[place[1]]) for place in expected.commission_board]


@absent(DUMP)
async def test_the_boards_of_a_real_dump_are_those_of_its_files(whole: System) -> None:
    expected = expected_of_stack_exchange(DUMP, person=lambda user: f"se-conlang-meta-{user}")
    assert len({rank for rank, _ in expected.activity}) < len(expected.activity) == 64  # real data have ties
    imported = import_files(whole, "--dump", DUMP)
    first = boards(whole, imported)
    assert_as_expected(first, expected)
    assert first["commission"] == []
    assert {
        "posts 162 53 questions, 109 answers",
        "new 162 posts of this run, 207 comments, and 64 authors",
        "skipped 8 posts that are neither question nor answer",
        "skipped 6 posts without a known owner",
        "skipped 1 posts by user -1, the site itself",
        "skipped 14 comments without a known owner",
        "skipped 9 comments on a post that was not imported",
        "skipped 1119 votes; the dump does not say who voted",
    } <= set(imported.said.splitlines()), imported.said

    before = await whole.row_counts()
    again = import_files(whole, "--dump", DUMP)
    assert "new 0 posts of this run, 0 comments, and 0 authors" in again.said
    assert await whole.row_counts() == before
    assert boards(whole, again) == first


@absent(CDNOW)
def test_the_boards_of_real_purchases_are_those_of_the_file(whole: System) -> None:
    expected = expected_of_cdnow(CDNOW, person=lambda customer: f"cdnow-{customer}")
    imported = import_files(whole, "--cdnow", CDNOW)
    assert "new 6919 purchases of this run, and 2357 customers" in imported.said
    assert_as_expected(boards(whole, imported), expected)

    # One of them, entry by entry: the commission of customer 4 is a tenth of each purchase of the two that it brought.
    sales, referrers = read_cdnow(CDNOW), referrers_of(read_cdnow(CDNOW))
    path = f"/scoring/v1/people/me/commission/entries?community={imported.community}&limit=100"
    entries = {entry["order_id"]: entry["amount_minor"] for entry in read_items(whole, path, "cdnow-00004")}
    brought = [sale for sale in sales if referrers.get(sale.customer) == "00004"]
    assert entries == {str(sale.order): sale.cents // 10 for sale in brought if sale.cents >= 10}
