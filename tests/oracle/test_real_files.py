"""What the import of real files must come to: checked against sums worked by hand from the files."""

import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.oracle.oracle import DEFAULT
from tests.oracle.realfiles import (
    COMMUNITY,
    ORGANIZATION,
    Expected,
    expected_of_cdnow,
    expected_of_stack_exchange,
    read_cdnow,
    referrers_of,
)
from tests.support.system import ROOT

DATA = ROOT.parent / "shared" / "data"
CDNOW = DATA / "cdnow" / "CDNOW_sample.txt"
DUMP = DATA / "stackexchange-conlang-meta"


def absent(place: Path) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not place.exists(), reason=f"the real data are not at {os.path.relpath(place, ROOT)}")


def days_of(expected: Expected, person: str) -> dict[str, int]:
    return {str(day): score for day, score in expected.scores.day_scores[ORGANIZATION, person, COMMUNITY].items()}


def test_five_sales_of_four_customers(tmp_path: Path) -> None:
    """In the order of first purchases: c, a, b, d. C referred a and b, a referred d."""
    file = tmp_path / "sales.txt"
    file.write_text(
        " 00001 0001 19970103  1   20.19\r\n"  # a
        " 00001 0001 19970105  1    0.00\r\n"
        " 00002 0002 19970104  2    9.99\r\n"  # b
        " 00003 0003 19970102  1   10.00\r\n"  # c
        " 00004 0004 19970104  1  100.00\r\n"  # d
    )
    assert [(sale.order, sale.customer, sale.cents) for sale in read_cdnow(file)][1:3] == [
        (2, "00001", 0),
        (3, "00002", 999),
    ]
    assert referrers_of(read_cdnow(file)) == {"00001": "00003", "00002": "00003", "00004": "00001"}
    expected = expected_of_cdnow(file, person=lambda customer: f"cdnow-{customer}")
    assert expected.points == {"cdnow-00001": 20, "cdnow-00002": 9, "cdnow-00003": 10, "cdnow-00004": 100}
    assert expected.commission == {"cdnow-00003": 201 + 99, "cdnow-00001": 1000}
    assert expected.commission_board == [(1, "cdnow-00001"), (2, "cdnow-00003")]
    # 25 each, on the 2nd, 3rd, 4th and 4th; the order of nothing counts nothing.
    assert expected.activity == [(1, "cdnow-00002"), (1, "cdnow-00004"), (3, "cdnow-00001"), (4, "cdnow-00003")]
    assert days_of(expected, "cdnow-00001") == {"1997-01-03": 25}
    two_levels = expected_of_cdnow(file, rules=replace(DEFAULT, levels=(1000, 250)))
    assert two_levels.commission == {"00003": 201 + 99 + 250, "00001": 1000}


@absent(CDNOW)
def test_the_sales_of_cdnow() -> None:
    expected = expected_of_cdnow(CDNOW)
    # awk '{s+=int($5)}', and a tenth of every line's cents, rounded down, but of those of 00004, whom nobody referred.
    assert sum(expected.points.values()) == 239_444
    assert sum(expected.commission.values()) == 2_436_740 - 1_003
    assert len(expected.activity) == 2_357
    assert len(expected.points) == 2_349  # eight customers bought once, for nothing

    # 29.33, 29.73, 14.96, 26.48
    assert expected.points["00004"] == 29 + 29 + 14 + 26
    assert days_of(expected, "00004") == {"1997-01-01": 25, "1997-01-18": 20, "1997-08-02": 20, "1997-12-12": 20}
    assert days_of(expected, "01101") == {"1997-01-05": 5}  # 0.00

    referrers = referrers_of(read_cdnow(CDNOW))
    assert [referrers[customer] for customer in ("00021", "00050", "00071", "23556", "23569")] == [
        *("00004", "00004", "00021", "12248", "12248")
    ]
    # 00021: 63.34 and 11.77; 00050: 6.79
    assert expected.commission["00004"] == 633 + 117 + 67
    # 00071: 13.97; 00086: 23.94
    assert expected.commission["00021"] == 139 + 239
    # 23556: 11.77, 26.73, 29.33, 45.74, 31.47, 28.98 twice; 23569: 25.74
    assert expected.commission["12248"] == 117 + 267 + 293 + 457 + 314 + 289 + 289 + 257
    assert "23569" not in expected.commission


@absent(DUMP)
def test_the_dump_of_conlang_meta() -> None:
    expected = expected_of_stack_exchange(DUMP)
    assert expected.skipped == {
        "post: neither question nor answer": 8,
        "post: without an owner": 6,
        "post: of user -1": 1,
        "comment: without an owner": 14,
        "comment: on a post that is not imported": 9,
    }
    # 177 posts and 230 comments, less those
    events = [effect.act for effect in expected.scores.effects.values()]
    assert (events.count("post_published"), events.count("comment_added")) == (162, 207)
    assert len(expected.activity) == events.count("member_joined") == 64

    # User 14: joined and asked on the 6th, answered on the 9th and the 15th.
    assert expected.points["14"] == 30
    assert days_of(expected, "14") == {"2018-02-06": 15, "2018-02-09": 10, "2018-02-15": 10}
    # User 56: joined, two answers and a comment on one day; a comment in June.
    assert days_of(expected, "56") == {"2018-02-06": 30, "2018-06-14": 5}
    # User 12, first day: six posts of which five count, six comments, two of them on a post that has no owner.
    assert days_of(expected, "12")["2018-02-06"] == 5 + 50 + 20
    # User 113, 8 February: two posts, twelve comments of which ten count.
    assert days_of(expected, "113")["2018-02-08"] == 20 + 50


def test_a_dump_without_an_account_and_with_everything_that_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "Posts.xml").write_text(
        "<posts>"
        '<row Id="1" PostTypeId="1" CreationDate="2020-03-01T23:59:59.999" OwnerUserId="7" />'
        '<row Id="2" PostTypeId="2" CreationDate="2020-03-02T00:00:00.000" OwnerUserId="8" />'
        '<row Id="3" PostTypeId="2" CreationDate="2020-03-02T10:00:00.000" />'
        '<row Id="4" PostTypeId="1" CreationDate="2020-03-02T10:00:00.000" OwnerUserId="-1" />'
        '<row Id="5" PostTypeId="4" CreationDate="2020-03-02T10:00:00.000" OwnerUserId="7" />'
        "</posts>"
    )
    (tmp_path / "Comments.xml").write_text(
        "<comments>"
        '<row Id="1" PostId="1" CreationDate="2020-03-03T10:00:00.000" UserId="9" />'
        '<row Id="2" PostId="1" CreationDate="2020-03-03T10:00:00.000" />'
        '<row Id="3" PostId="1" CreationDate="2020-03-03T10:00:00.000" UserId="-1" />'
        '<row Id="4" PostId="5" CreationDate="2020-03-03T10:00:00.000" UserId="7" />'
        '<row Id="5" PostId="3" CreationDate="2020-03-03T10:00:00.000" UserId="10" />'
        "</comments>"
    )
    (tmp_path / "Users.xml").write_text('<users><row Id="8" CreationDate="2020-02-28T12:00:00.000"/></users>')
    expected = expected_of_stack_exchange(tmp_path, person=lambda user: f"se-tiny-{user}")
    assert expected.points == {"se-tiny-7": 10, "se-tiny-8": 10, "se-tiny-9": 5}
    assert expected.points_board == [(1, "se-tiny-7"), (1, "se-tiny-8"), (3, "se-tiny-9")]
    assert days_of(expected, "se-tiny-7") == {"2020-03-01": 15}
    assert days_of(expected, "se-tiny-8") == {"2020-02-28": 5, "2020-03-02": 10}
    assert days_of(expected, "se-tiny-9") == {"2020-03-03": 10}
    # On 3 March: 15 two days old are 12.31; 10 of yesterday and 5 four days old are 9.06 + 3.36 = 12.42; 10.
    assert [person for _, person in expected.activity] == ["se-tiny-8", "se-tiny-7", "se-tiny-9"]
    assert expected.skipped == {
        "post: without an owner": 1,
        "post: of user -1": 1,
        "post: neither question nor answer": 1,
        "comment: without an owner": 1,
        "comment: of user -1": 1,
        "comment: on a post that is not imported": 2,
    }


def test_the_days_of_a_sale_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "one").write_text(" 00001 0001 19961231  1    1.00\r\n")
    assert [sale.day for sale in read_cdnow(tmp_path / "one")] == [date(1996, 12, 31)]
