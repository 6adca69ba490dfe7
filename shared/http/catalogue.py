"""Every reason for which a request can be refused, read off the code into `docs/problems.md`."""

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from shared import errors
from shared.http import health, problems

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "problems.md"

_KINDS: dict[str, int] = {
    kind.__name__: problems.status_of(kind("", ""))
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.Refusal) and kind is not errors.Refusal
}
_HEAD = """# Problems

Every refusal is an `application/problem+json` document (RFC 9457). Its `type` is `/problems/<reason>`; reasons are part
of the API and do not change. `instance` is the request id: quote it when you ask for help. With 503 comes `Retry-After`.
What stands in braces is filled in. This page is written by `python -m shared.http.catalogue`.

| Reason | Status | What it says |
|---|---|---|
"""


class Entry(NamedTuple):
    reason: str
    status: int
    detail: str


def page() -> str:
    """The page `docs/problems.md`."""
    found = {
        Entry("invalid-request", 422, "Some values break a rule; `errors` names each."),
        Entry("internal-error", 500, "Something broke on our side. It has been logged under the request id."),
        *(Entry(reason, 503, "{…}") for reason in health.REASONS),
        *(Entry(reason, status, detail) for status, (reason, detail) in problems.FRAMEWORK.items()),
        *(entry for folder in ("shared", "services") for entry in _of_folder(ROOT / folder)),
    }
    said: dict[tuple[str, int], list[str]] = {}
    for entry in sorted(found):
        said.setdefault((entry.reason, entry.status), []).append(entry.detail.replace("|", "&#124;"))
    rows = [f"| `{reason}` | {status} | {'<br>'.join(details)} |" for (reason, status), details in said.items()]
    return _HEAD + "\n".join(rows) + "\n"


def _of_folder(folder: Path) -> Iterator[Entry]:
    for path in sorted(folder.rglob("*.py")):
        yield from _of_code(ast.walk(ast.parse(path.read_text())))


def _of_code(nodes: Iterable[ast.AST]) -> Iterator[Entry]:
    for node in nodes:
        if isinstance(node, ast.Call) and len(node.args) >= 2 and _name(node.func) in _KINDS:
            reason = node.args[0]
            if isinstance(reason, ast.Constant) and isinstance(reason.value, str):
                yield Entry(reason.value, _KINDS[_name(node.func)], _text(node.args[1]))


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _text(expression: ast.expr) -> str:
    match expression:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) for part in parts)
        case ast.FormattedValue(value=ast.Name(id=name) | ast.Attribute(attr=name)):
            return "{" + name.strip("_").lower() + "}"
    return "{…}"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} written\n")
