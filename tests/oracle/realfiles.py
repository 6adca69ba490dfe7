"""What the boards must say after the import of real files, from the files alone.

For tests that import the same files through the API and compare: people are named by `person`, everything else is as
the oracle works it out under one ruleset, in communities of which nobody else is a member.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from xml.etree import ElementTree

from tests.oracle.oracle import ATTRIBUTED, DEFAULT, RECORDED, Fact, Ruleset, Scores, Version, board, rank_key, score

ORGANIZATION, COMMUNITY = "demo", "the community of the import"
_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Expected:
    """What an import must come to. Nobody has a row for nothing.

    Attributes:
        points: of each person who has any.
        activity: the board from its top: (competition rank, person), equal ones by person id.
        commission: minor units earned, pending or payable, of each person who has any.
        scores: all numbers of the oracle, to look closer.
        skipped: how many rows of the files are not imported, by reason.
    """

    points: dict[str, int]
    activity: list[tuple[int, str]]
    commission: dict[str, int]
    scores: Scores
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def points_board(self) -> list[tuple[int, str]]:
        return board(self.points)

    @property
    def commission_board(self) -> list[tuple[int, str]]:
        return board(self.commission)


# --- CDNOW ---


@dataclass(frozen=True)
class Sale:
    """A line of the file: `customer` as in its first column, `order` the number of the line, from 1."""

    order: int
    customer: str
    day: date
    cents: int


def read_cdnow(file: Path) -> list[Sale]:
    sales = []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        customer, _, day, _, dollars = line.split()
        whole, cents = dollars.split(".")
        assert len(cents) == 2
        sales.append(Sale(number, customer, date.fromisoformat(day), int(whole + cents)))
    return sales


def referrers_of(sales: Iterable[Sale]) -> dict[str, str]:
    """Customer to who referred them: numbered from 1 by first purchase, then id, k was referred by k div 2."""
    first = _first_days(sales)
    ordered = sorted(first, key=lambda customer: (first[customer], customer))
    return {customer: ordered[k // 2 - 1] for k, customer in enumerate(ordered, start=1) if k > 1}


def expected_of_cdnow(file: Path, *, person: Callable[[str], str] = str, rules: Ruleset = DEFAULT) -> Expected:
    """Every line is an order, every customer joins on the day of the first one. No refunds.

    Args:
        file: CDNOW_sample.txt.
        person: names a customer, given as in the first column (`00004`).
        rules: in force all along.
    """
    sales = read_cdnow(file)
    referrers = referrers_of(sales)
    purchases = (fact for sale in sales for fact in _purchase(sale, referrers, person))
    return _expected([*_joins(_first_days(sales), person), *purchases], rules)


def _first_days(sales: Iterable[Sale]) -> dict[str, date]:
    days: dict[str, date] = {}
    for sale in sales:
        days[sale.customer] = min(sale.day, days.get(sale.customer, sale.day))
    return days


def _purchase(sale: Sale, referrers: dict[str, str], person: Callable[[str], str]) -> Iterator[Fact]:
    buyer, order = person(sale.customer), str(sale.order)
    paid = {"paid_minor": sale.cents, "commissionable_minor": sale.cents, "purchase": order, "buyer": buyer}
    yield _fact(RECORDED, f"order {order}", sale.day, **paid)
    first = referrers.get(sale.customer)
    levels = enumerate([first, referrers.get(first or "")], start=1)
    chain = [{"level": level, "person": person(who)} for level, who in levels if who is not None]
    yield _fact(ATTRIBUTED, f"chain {order}", sale.day, chain=chain, **paid)


# --- Stack Exchange ---


def expected_of_stack_exchange(
    folder: Path, *, person: Callable[[str], str] = str, rules: Ruleset = DEFAULT
) -> Expected:
    """Questions and answers are posts, comments are comments; times are UTC, as is the community's zone.

    Who wrote something joins on the day of the account (Users.xml), without that on the day of the first thing written.

    Args:
        folder: with Posts.xml, Comments.xml and Users.xml.
        person: names a user, given by number (`14`).
        rules: in force all along.
    """
    skipped: Counter[str] = Counter()
    posts: set[str] = set()
    facts: list[Fact] = []
    days: dict[str, date] = {}

    def wrote(type: str, name: str, user: str, day: date) -> None:
        days[user] = min(day, days.get(user, day))
        facts.append(_fact(type, name, day, author=person(user), post=name, comment=name))

    for row in _rows(folder / "Posts.xml"):
        user = row.get("OwnerUserId")
        if row["PostTypeId"] not in ("1", "2"):
            skipped["post: neither question nor answer"] += 1
        elif user is None:
            skipped["post: without an owner"] += 1
        elif user == "-1":
            skipped["post: of user -1"] += 1
        else:
            posts.add(row["Id"])
            wrote("content.post-published.v1", f"post {row['Id']}", user, _day(row))
    for row in _rows(folder / "Comments.xml"):
        user = row.get("UserId")
        if user is None:
            skipped["comment: without an owner"] += 1
        elif user == "-1":
            skipped["comment: of user -1"] += 1
        elif row["PostId"] not in posts:
            skipped["comment: on a post that is not imported"] += 1
        else:
            wrote("content.comment-added.v1", f"comment {row['Id']}", user, _day(row))
    accounts = {row["Id"]: _day(row) for row in _rows(folder / "Users.xml")}
    joins = _joins({user: accounts.get(user, day) for user, day in days.items()}, person)
    return _expected([*joins, *facts], rules, skipped)


def _rows(file: Path) -> Iterator[dict[str, str]]:
    return (dict(row.attrib) for row in ElementTree.parse(file).getroot())


def _day(row: dict[str, str]) -> date:
    return date.fromisoformat(row["CreationDate"][:10])


# --- Both ---


def _fact(type: str, id: str, day: date, **own: object) -> Fact:
    at = datetime.combine(day, time(12), UTC)
    place = {"organization": ORGANIZATION, "community": COMMUNITY}
    return {"type": type, "id": id, "occurred_at": at, "local_day": day, **place, **own}


def _joins(days: dict[str, date], person: Callable[[str], str]) -> Iterator[Fact]:
    for who, day in days.items():
        yield _fact("membership.member-joined.v1", f"join {who}", day, person=person(who), first_in_community=True)


def _expected(facts: Iterable[Fact], rules: Ruleset, skipped: Counter[str] | None = None) -> Expected:
    scores = score(facts, [Version(ORGANIZATION, None, _BEGINNING, rules)])
    return Expected(
        {member[1]: points for member, points in scores.points.items() if points},
        board({member[1]: rank_key(days) for member, days in scores.day_scores.items()}),
        {member[1]: amount for member, amount in scores.earned.items() if amount},
        scores,
        skipped or Counter(),
    )
