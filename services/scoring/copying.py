"""Rows in PostgreSQL's binary COPY format: to pack a narrow row whole is much cheaper than to encode it value by value.

In a packed row every value follows its length in bytes, and -1 stands for null.
"""

from binascii import unhexlify
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, date, datetime
from struct import Struct
from typing import Any

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(2000, 1, 1).toordinal()
_NULL = b"\xff\xff\xff\xff"
_SMALLINT = Struct("!ih")
_INTEGER = Struct("!ii")
_BIGINT = Struct("!iq")


async def copy(connection: Any, table: str, columns: str, rows: Iterable[bytes]) -> None:
    """Append packed rows to a table; its columns are named in their order, separated by blanks."""
    source = _whole(b"".join((_SIGNATURE, *rows, _END)))
    await connection.copy_to_table(table, source=source, columns=columns.split(), format="binary")


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    """The driver reads a file in a thread of its own; this it reads at once."""
    yield data


def row(types: str) -> Struct:
    """Packs the number of columns, then for each of these columns (h smallint, i integer or date, q bigint or
    timestamptz, 16s uuid, ? boolean; separated by blanks) its length and value; for - only the length -1, of a null."""
    return Struct("!h" + "".join("i" if type == "-" else f"i{type}" for type in types.split()))


def micros(instant: datetime) -> int:
    """A timestamptz."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def days(day: date) -> int:
    """A date."""
    return day.toordinal() - _EPOCH_ORDINAL


def uuid_bytes(text: str) -> bytes:
    """A uuid.

    Raises:
        ValueError: the text is none.
    """
    value = unhexlify(text.replace("-", ""))
    if len(value) != 16:
        raise ValueError(f"not a UUID: {text!r}")
    return value


def smallint(value: int | None) -> bytes:
    """A smallint that may be null, packed by itself; so the others."""
    return _NULL if value is None else _SMALLINT.pack(2, value)


def integer(value: int | None) -> bytes:
    return _NULL if value is None else _INTEGER.pack(4, value)


def bigint(value: int | None) -> bytes:
    return _NULL if value is None else _BIGINT.pack(8, value)


def uuid(value: bytes | None) -> bytes:
    return _NULL if value is None else b"\0\0\0\x10" + value


def jsonb(value: bytes | None) -> bytes:
    """JSON; its format has version 1."""
    return _NULL if value is None else (len(value) + 1).to_bytes(4) + b"\1" + value


def text(value: str) -> bytes:
    encoded = value.encode()
    return len(encoded).to_bytes(4) + encoded
