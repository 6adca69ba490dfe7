"""What no body, path or query may contain, whatever the route: checked once, before anything else sees it."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from shared.errors import BadRequest


class _Duplicate(ValueError):
    pass


class _NotANumber(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Duplicate
    return found


def _number(text: str) -> float:
    number = float(text)
    if number - number != 0:  # 1e999 is read as infinity
        raise _NotANumber
    return number


def _no_number(_name: str) -> float:
    raise _NotANumber


_decode = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number, parse_constant=_no_number).decode


def read_json(body: bytes) -> Any:
    """Read a body; refuse one that is not one JSON value of text and numbers that a database can hold.

    Raises:
        BadRequest: with the reason.
    """
    try:
        text = body.decode()
        value = _decode(text)
    except UnicodeDecodeError:
        raise BadRequest("body-not-utf-8", "The body must be JSON in UTF-8.") from None
    except _Duplicate:
        raise BadRequest("member-repeated", "An object in the body names the same member twice.") from None
    except _NotANumber:
        raise BadRequest("not-a-number", "NaN and infinite numbers are not JSON.") from None
    except RecursionError:
        raise BadRequest("nested-too-deeply", "The body is nested too deeply.") from None
    except ValueError:
        raise BadRequest("body-malformed", "The body is not well-formed JSON.") from None
    # Only an escape can still smuggle in what UTF-8 and JSON refuse.
    if "\\u" in text:
        for part in _texts(value):
            check_text(part)
    return value


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case list() as items:
                waiting.extend(items)
            case dict() as members:
                yield from members
                waiting.extend(members.values())


def check_text(text: str) -> None:
    """Refuse NUL and lone surrogates.

    Raises:
        BadRequest: with the reason.
    """
    if "\x00" in text:
        raise BadRequest("nul-character", "The character NUL cannot be stored.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRequest("lone-surrogate", "The request contains half of a surrogate pair, which is no text.") from None


def check_target(path: str, raw_path: bytes, query: bytes) -> None:
    """Refuse a path or query that is not UTF-8, or contains NUL.

    Raises:
        BadRequest: with the reason.
    """
    if b"%" in query:
        _check_encoded(query)
    if b"%" in raw_path:
        _check_encoded(raw_path)
    if "\x00" in path:
        raise BadRequest("nul-character", "The character NUL cannot be stored.")


def _check_encoded(part: bytes) -> None:
    decoded = unquote_to_bytes(part)
    if b"\x00" in decoded:
        raise BadRequest("nul-character", "The character NUL cannot be stored.")
    try:
        decoded.decode()
    except UnicodeDecodeError:
        raise BadRequest("path-not-utf-8", "Percent-encoded parts of path and query must be UTF-8.") from None
