"""Whole pages of reference that are made from the code: docs/messages.md and docs/routes.md."""

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr

from deploy.local.run import SERVICES
from shared.roles import api_app
from shared.service import Definition
from shared.settings import Settings
from tests.support.markdown import table

_MADE = "Made from the code by `python -m tests.support.pages`.\n"
_MESSAGES = f"""# Messages

Everything that the services publish on the log, field by field, as in the committed JSON Schemas and the AsyncAPI documents.
Fields that are not required may be missing. [Events](events.md) says how records are made and what types are for.
{_MADE}"""
_ROUTES = f"""# Routes

Every route of every service. The OpenAPI document at `/<service>/openapi.json` has their parameters, bodies and answers, and
`/<service>/docs` lets you try them. [The API](api.md) has the rules that hold for all of them.
{_MADE}"""


def messages_page() -> str:
    """All messages of all services with their fields."""
    return _MESSAGES + "".join(_messages(service) for service in SERVICES)


def routes_page() -> str:
    """All routes of all services."""
    return _ROUTES + "".join(_routes(service) for service in SERVICES)


def _messages(service: Definition[Any]) -> str:
    parts = [f"\n## {service.topic}\n"]
    for path in sorted((service.folder / "contracts").glob("*.schema.json")):
        schema = json.loads(path.read_text())
        said = schema["description"].replace("\n", " ")
        parts.append(
            f"\n### {schema['title']}\n\n{said}\n\n{table(('field', 'type', 'meaning'), _fields(schema, schema))}"
        )
    return "".join(parts)


def _fields(whole: dict[str, Any], of: dict[str, Any], inside: str = "") -> Iterator[tuple[str, str, str]]:
    for name, field in of["properties"].items():
        needed = "" if name in of.get("required", ()) else ", optional"
        yield f"`{inside}{name}`", f"{_type(whole, field)}{needed}", field.get("description", "").replace("\n", " ")
        for reference in re.findall(r'"#/\$defs/(\w+)"', json.dumps(field)):
            yield from _fields(whole, whole["$defs"][reference], f"{inside}{name}.")


def _type(whole: dict[str, Any], field: dict[str, Any]) -> str:
    """As a reader would say it: `string`, `integer or null`, `one of draft, launched`."""
    if "$ref" in field:
        return "object"
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(_type(whole, one) for one in field["anyOf"])
    if field.get("type") == "array":
        return f"list of {_type(whole, field.get('items', {}))}"
    return str(field.get("format") or field.get("type") or "any")


def _routes(service: Definition[Any]) -> str:
    rows = [
        (f"`{method.upper()} {_path(service, path)}`", operation["summary"])
        for path, methods in _openapi(service)["paths"].items()
        for method, operation in methods.items()
    ]
    return f"\n## {service.title}\n\n{table(('route', 'what it does'), rows)}"


def _path(service: Definition[Any], path: str) -> str:
    at_the_root = path.split("/")[1] in service.roots
    return path if at_the_root else f"/{service.name}{path}"


def _openapi(service: Definition[Any]) -> dict[str, Any]:
    settings = Settings(
        mode="local", database_url=SecretStr("postgresql://nowhere"), auth_jwks_url="http://127.0.0.1/jwks.json"
    )
    return api_app(service, settings).openapi()
