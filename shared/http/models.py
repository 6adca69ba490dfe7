"""Bases and field types of requests and answers: JSON is taken as written, nothing coerced, nothing ignored."""

import re
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from shared.http.currencies import CURRENCIES


class RequestModel(BaseModel):
    """Base of request bodies: unknown fields refused, no number from a text, no infinite number.

    Strict, so enumerations are written as `Literal`, lists as `list`, times as `Instant`.
    """

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


class AnswerModel(BaseModel):
    """Base of answers, filled by the services themselves."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse_instant(value: Any) -> datetime:
    """An RFC 3339 time with offset as a time in UTC; digits beyond microseconds are dropped. Raise ValueError else."""
    if isinstance(value, str):
        if _RFC3339.fullmatch(value) is None:
            raise ValueError("write a time as RFC 3339 with an offset, e.g. 2026-03-01T09:30:00Z")
        value = datetime.fromisoformat(value.upper())
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("write a time as RFC 3339 with an offset, e.g. 2026-03-01T09:30:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None


def format_instant(value: datetime) -> str:
    """RFC 3339 in UTC with microseconds and `Z`."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _known_zone(name: str) -> str:
    if name not in zones():
        raise ValueError("must be an IANA time zone, e.g. Asia/Shanghai")
    return name


def _known_currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("must be an ISO 4217 currency code, e.g. EUR")
    return code


@cache
def zones() -> frozenset[str]:
    """The IANA time zones this installation knows."""
    return frozenset(available_timezones() - {"Factory", "localtime", "posixrules"})


Instant = Annotated[
    datetime,
    BeforeValidator(parse_instant),
    PlainSerializer(format_instant, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-01T09:30:00.000000Z"]}),
]
"""An aware time, in UTC."""

Int64 = Annotated[int, Field(strict=True, ge=-(2**63), le=2**63 - 1)]
"""What a PostgreSQL bigint holds."""

PersonId = Annotated[str, Field(min_length=1, max_length=64, description="Person id, as in the claim `sub`.")]

Identifier = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
        min_length=36,
        max_length=36,
        examples=["0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10"],
    ),
    AfterValidator(str.lower),
]
"""A UUID as text in lower case."""

Zone = Annotated[str, Field(max_length=64, examples=["Asia/Shanghai"]), AfterValidator(_known_zone)]
"""An IANA time zone."""

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["EUR"]), AfterValidator(_known_currency)]
"""An ISO 4217 currency code."""
