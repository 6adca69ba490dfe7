"""Each service's AsyncAPI document is valid, and holds every message with a schema that accepts its sample."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from deploy.local.run import SERVICES
from shared.messaging.epochs import RAISED
from shared.service import Definition

META = Path(__file__).parents[1] / "support" / "asyncapi" / "3.0.0.schema.json"


@cache
def meta_schema() -> Any:
    return jsonschema.Draft7Validator(json.loads(META.read_text()))


def described(service: Definition[Any]) -> dict[str, Any]:
    return service.asyncapi(partitions=12)


def resolve(whole: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        whole = whole[part.replace("~1", "/").replace("~0", "~")]
    return whole


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_the_document_is_asyncapi_3(service: Definition[Any]) -> None:
    errors = [
        f"{'/'.join(map(str, error.path))}: {error.message[:200]}"
        for error in meta_schema().iter_errors(described(service))
    ]
    assert errors == []


def test_the_check_of_the_document_can_fail() -> None:
    spoilt = described(SERVICES[0])
    spoilt["operations"]["publishFacts"]["action"] = "shout"
    assert not meta_schema().is_valid(spoilt)


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_reference_leads_somewhere_and_every_sample_fits(service: Definition[Any]) -> None:
    whole = described(service)
    names = {f"{service.name}.{path.stem}" for path in (service.folder / "contracts" / "samples").glob("*.json")}
    names |= {f"{service.name}.{RAISED}", "watermark"}
    assert {message["name"] for message in whole["components"]["messages"].values()} == names
    for reference in references(whole):
        assert resolve(whole, reference), reference
    for message in whole["components"]["messages"].values():
        for example in message.get("examples", ()):
            schema = {**message["payload"]["schema"], "components": whole["components"]}
            jsonschema.Draft202012Validator(schema).validate(example["payload"])


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [found for value in part.values() for found in references(value)]
    return [found for value in part for found in references(value)] if isinstance(part, list) else []
