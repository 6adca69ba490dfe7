"""What every service's published language is held to: schemas true, samples real."""

from collections.abc import Mapping
from pathlib import Path

import jsonschema
import msgspec

from shared.contracts import file_name, schema_of


def check_schemas(folder: Path, types: Mapping[str, type[msgspec.Struct]]) -> None:
    """The schema files are those of the classes, no more and no fewer."""
    assert {path.name for path in folder.glob("*.schema.json")} == {file_name(name) for name in types}
    for name, message in types.items():
        assert (folder / file_name(name)).read_bytes() == schema_of(name, message), (
            f"{file_name(name)} is stale: run python -m shared.contracts <package>"
        )


def check_samples(folder: Path, types: Mapping[str, type[msgspec.Struct]]) -> None:
    """Every message type has a sample, which its schema accepts and its class reads whole."""
    samples = {path.stem: path.read_bytes() for path in (folder / "samples").glob("*.json")}
    assert set(samples) == {name.partition(".")[2] for name in types}
    for name, message in types.items():
        value = msgspec.json.decode(samples[name.partition(".")[2]])
        schema = msgspec.json.decode((folder / file_name(name)).read_bytes())
        validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
        validator.check_schema(schema)
        validator.validate(value)
        assert not validator.is_valid({key: item for key, item in value.items() if key != "organization"})
        assert msgspec.to_builtins(msgspec.convert(value, message)) == value
