"""JSON Schemas of a service's messages: `python -m shared.contracts services.membership` writes them to its `contracts/`.

With `--release` they are copied to `contracts/released/` as well: what readers may rely on from then on.
"""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec


def file_name(type_name: str) -> str:
    """The file of a message type: `membership.member-joined.v1` -> `member-joined.v1.schema.json`."""
    return f"{type_name.partition('.')[2]}.schema.json"


def schema_of(type_name: str, message: type[msgspec.Struct]) -> bytes:
    """The JSON Schema of a message type, as its file holds it."""
    document = msgspec.json.schema(message)
    definitions: dict[str, Any] = document["$defs"]
    root = definitions.pop(message.__name__)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"/{type_name.partition('.')[0]}/schemas/{file_name(type_name)}",
        **root,
        "title": type_name,
    }
    if definitions:
        schema["$defs"] = definitions
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def write(folder: Path, types: Mapping[str, type[msgspec.Struct]]) -> None:
    """Write the schemas of these message types to `folder`."""
    for type_name, message in types.items():
        (folder / file_name(type_name)).write_bytes(schema_of(type_name, message))


if __name__ == "__main__":
    for package in sys.argv[1:]:
        if package == "--release":
            continue
        messages = importlib.import_module(f"{package}.messages")
        folder = Path(str(messages.__file__)).parent / "contracts"
        write(folder, messages.TYPES)
        if "--release" in sys.argv:
            (folder / "released").mkdir(exist_ok=True)
            write(folder / "released", messages.TYPES)
