"""Read CDNOW_sample.txt: one purchase a line, of customers who have no other trace than their purchases."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

_LINE = re.compile(r" *(\d{1,10}) +\d{1,10} +(\d{8}) +(\d{1,9}) +(\d{1,10}\.\d\d) *\r?\n?", re.ASCII)
_LONGEST_LINE = 200
_BEGINNING = datetime.min.replace(tzinfo=UTC)


class FileRefused(Exception):
    """The file cannot be read; the message says where and why."""


@dataclass(frozen=True)
class Purchase:
    """One line.

    Attributes:
        line: its number in the file, from 1. There are lines that are equal in all else.
        customer: as in the first column, with its leading zeros.
        at: noon of the day, in UTC: the file knows days only.
        discs: how many.
        cents: what was paid, US cents.
    """

    line: int
    customer: str
    at: datetime
    discs: int
    cents: int


@dataclass(frozen=True)
class Customer:
    """Somebody who bought.

    Attributes:
        number: from 1, in the order of (first purchase, id).
        person: person id.
        joined_at: of the first purchase.
    """

    number: int
    person: str
    joined_at: datetime

    @property
    def referrer(self) -> int:
        """The number of who brought this one: half the own, rounded down; 0 for the first, whom nobody brought."""
        return self.number // 2


def person(customer: str) -> str:
    """The person id of a customer."""
    return f"cdnow-{customer}"


def purchases(file: Path) -> Iterator[Purchase]:
    """All purchases, in the order of the file.

    Raises:
        FileRefused: it cannot be read.
    """
    try:
        with file.open(encoding="ascii", newline="") as lines:
            number = 0
            while line := lines.readline(_LONGEST_LINE):
                number += 1
                yield _purchase(file, number, line)
    except (OSError, UnicodeDecodeError) as error:
        raise FileRefused(f"{file} cannot be read: {error}") from error


def _purchase(file: Path, number: int, line: str) -> Purchase:
    match = _LINE.fullmatch(line)
    if match is None:
        raise FileRefused(f"{file}, line {number}: not a customer, its number in the sample, a day, discs and dollars.")
    customer, day, discs, dollars = match.groups()
    try:
        on = date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError:
        raise FileRefused(f"{file}, line {number}: {day} is no day.") from None
    at = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
    return Purchase(number, customer, at, int(discs), int(Decimal(dollars) * 100))


@dataclass
class Survey:
    """What a file holds.

    Attributes:
        customers: in the order of their numbers.
        purchases: how many.
        cents: what was paid for all of them.
        last: when the last of them was made.
    """

    customers: Sequence[Customer] = ()
    purchases: int = 0
    cents: int = 0
    last: datetime = _BEGINNING


def survey(file: Path) -> Survey:
    """Read the whole file once.

    Raises:
        FileRefused: it cannot be read.
    """
    found = Survey()
    first: dict[str, datetime] = {}
    for purchase in purchases(file):
        found.purchases += 1
        found.cents += purchase.cents
        found.last = max(found.last, purchase.at)
        first[purchase.customer] = min(purchase.at, first.get(purchase.customer, purchase.at))
    ordered = sorted(first.items(), key=lambda item: (item[1], item[0]))
    found.customers = [Customer(number, person(customer), at) for number, (customer, at) in enumerate(ordered, start=1)]
    return found
