"""`make import` of small files of purchases against a whole system of their own: an organization knows an order once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.imports import board, import_files, read_items
from tests.support.system import System, running_system

pytestmark = pytest.mark.timeout(180)

# In the order of first purchases: 50, 4, 21, 86, 71. So 50 brought 4 and 21, and 4 brought 86 and 71.
LINES = [
    " 00004 0001 19970103  1   20.19",
    " 00004 0001 19970105  1    0.00",
    " 00021 0002 19970104  2    9.99",
    " 00050 0003 19970102  1   10.00",
    " 00086 0004 19970104  1  100.00",
    " 00086 0004 19970104  1  100.00",
    " 00071 0005 19970131  1    0.09",
]


@pytest.fixture(scope="module")
def own() -> Iterator[System]:
    with running_system() as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "sales.txt"
    file.write_text("\r\n".join(LINES) + "\r\n")
    return file


async def test_purchases_are_imported_once(own: System, file: Path) -> None:
    imported = import_files(own, "--cdnow", file)
    assert {
        "customers 5 each brought by another one, but for the first",
        "purchases 7 of 240.27 USD in all",
        "new 7 purchases of this run, and 5 customers",
        "known 0 purchases of an earlier run, and 0 customers",
    } <= set(imported.said.splitlines()), imported.said
    assert imported.reader == "cdnow-00050"

    # A point for each dollar of an order.
    points = [(1, "cdnow-00086", 200), (2, "cdnow-00004", 20), (3, "cdnow-00050", 10), (4, "cdnow-00021", 9)]
    assert board(own, imported, "points") == points
    # A tenth of each order, less than a cent dropped: 100.00 twice; 20.19 and 9.99. Nothing of 0.00 and 0.09.
    assert board(own, imported, "commission") == [(1, "cdnow-00004", 2000), (2, "cdnow-00050", 201 + 99)]
    path = f"/scoring/v1/people/me/commission/entries?community={imported.community}"
    entries = list(read_items(own, path, "cdnow-00004"))
    assert {(entry["order_id"], entry["level"], entry["amount_minor"]) for entry in entries} == {
        ("5", 1, 1000),
        ("6", 1, 1000),
    }
    (bought,) = read_items(own, "/campaigns/v1/purchases", "cdnow-00021")
    assert (bought["order_id"], bought["occurred_at"]) == ("3", "1997-01-04T12:00:00.000000Z")
    assert bought["chain"] == [{"level": 1, "person": "cdnow-00050", "by": "binding"}]
    (small,) = read_items(own, "/campaigns/v1/purchases", "cdnow-00071")
    assert [link["person"] for link in small["chain"]] == ["cdnow-00004", "cdnow-00050"]
    joined = read_items(own, f"/membership/v1/communities/{imported.community}/members", imported.reader)
    assert [(member["person"], member["joined_at"][:10]) for member in joined] == [
        ("cdnow-00050", "1997-01-02"),
        ("cdnow-00004", "1997-01-03"),
        ("cdnow-00021", "1997-01-04"),
        ("cdnow-00086", "1997-01-04"),
        ("cdnow-00071", "1997-01-31"),
    ]
    before = await own.row_counts()

    again = import_files(own, "--cdnow", file)
    assert again.community == imported.community
    assert "known 7 purchases of an earlier run, and 5 customers" in again.said
    assert await own.row_counts() == before


def test_what_changed_meanwhile_is_kept_as_it_was_imported(own: System, file: Path) -> None:
    import_files(own, "--cdnow", file)
    file.write_text(file.read_text().replace("100.00", "100.01", 1) + " 00099 0006 19970201  1    5.00\n")
    said = import_files(own, "--cdnow", file).said
    assert "skipped 1 purchases changed in the source since an earlier import; kept as it was" in said
    assert "new 1 purchases of this run, and 1 customers" in said


def test_another_community_cannot_have_the_same_orders(own: System, file: Path) -> None:
    import_files(own, "--cdnow", file)
    said = import_files(own, "--cdnow", file, "--community", "Second").said
    assert "skipped 7 purchases refused: order-id-used" in said
    assert "new 0 purchases of this run, and 5 customers" in said
