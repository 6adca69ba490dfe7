"""Reading the purchases of CDNOW."""

from pathlib import Path

import pytest

from deploy.local.importing.cdnow import FileRefused, purchases, survey

LINES = (
    " 00004 0001 19970103  1   20.19\r\n"
    " 00004 0001 19970105  1    0.00\r\n"
    " 00021 0002 19970104  2    9.99\r\n"
    " 00050 0003 19970102  1   10.00\r\n"
    " 00086 0004 19970104  1  100.00\r\n"
    " 00086 0004 19970104  1  100.00\r\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "sales.txt"
    file.write_bytes(LINES.encode())
    return file


def test_every_line_is_a_purchase(file: Path) -> None:
    read = list(purchases(file))
    assert [(one.line, one.customer, one.discs, one.cents) for one in read] == [
        (1, "00004", 1, 2019),
        (2, "00004", 1, 0),
        (3, "00021", 2, 999),
        (4, "00050", 1, 1000),
        (5, "00086", 1, 10_000),
        (6, "00086", 1, 10_000),
    ]
    assert read[0].at.isoformat() == "1997-01-03T12:00:00+00:00"


def test_customers_are_numbered_by_first_purchase_and_id(file: Path) -> None:
    found = survey(file)
    assert [(one.number, one.person, str(one.joined_at.date()), one.referrer) for one in found.customers] == [
        (1, "cdnow-00050", "1997-01-02", 0),
        (2, "cdnow-00004", "1997-01-03", 1),
        (3, "cdnow-00021", "1997-01-04", 1),
        (4, "cdnow-00086", "1997-01-04", 2),
    ]
    assert (found.purchases, found.cents, str(found.last.date())) == (6, 24_018, "1997-01-05")


def test_no_cent_is_lost(tmp_path: Path) -> None:
    """0.29 × 100 is 28.999… in floating point."""
    file = tmp_path / "cents"
    amounts = [cents for dollars in (0, 1, 19, 1_234_567) for cents in range(100 * dollars, 100 * dollars + 100)]
    file.write_text("".join(f" 1 1 19970101 1 {cents // 100}.{cents % 100:02}\n" for cents in amounts))
    assert [one.cents for one in purchases(file)] == amounts


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "not a customer"),
        ("00004 0001 19970101 2", "not a customer"),
        ("00004 0001 19970101 2 29.3", "not a customer"),
        ("00004 0001 19970101 2 -29.33", "not a customer"),
        ("00004 0001 19970101 2 29.33 more", "not a customer"),
        ("00004 0001 19970230 2 29.33", "19970230 is no day"),
        ("00004 0001 00000101 2 29.33", "00000101 is no day"),
        ("00004 0001 19970101 2 ٢٩.33", "cannot be read"),
        (f"00004 0001 19970101 2 29.33{' ' * 300}", "not a customer"),
    ],
)
def test_what_is_no_purchase_is_refused(file: Path, line: str, why: str) -> None:
    file.write_bytes(LINES.encode() + line.encode() + b"\n")
    with pytest.raises(FileRefused, match=why):
        survey(file)


def test_a_line_that_is_wrong_is_named(file: Path) -> None:
    file.write_bytes(LINES.encode() + b"nonsense\n")
    with pytest.raises(FileRefused, match="line 7"):
        survey(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="cannot be read"):
        survey(tmp_path / "none")
