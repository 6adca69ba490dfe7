"""What a service publishes on the log, as an AsyncAPI 3 document: made from the committed schemas of its messages."""

import json
from pathlib import Path
from typing import Any

from shared.contracts import file_name, schema_of
from shared.messaging.epochs import RAISED, EpochRaised

_DESCRIPTION = """
{description}

Records are CloudEvents 1.0 in Kafka's binary mode: attributes in headers, data as JSON in the value. The key is the person
whom the fact is about, else the id of the aggregate, so that all facts about a person stand in one partition, in order.
Delivery is at least once: `ce_position` rises within a partition, and `ce_previous` names the record before, so that a
reader tells repeats and gaps.
"""

_HEADERS = {
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_id": {"type": "string", "format": "uuid", "description": "Unique."},
    "ce_subject": {"type": "string", "description": "Id of the aggregate."},
    "ce_time": {"type": "string", "format": "date-time", "description": "When it occurred."},
    "content-type": {"type": "string", "const": "application/json"},
    "ce_position": {
        "type": "string",
        "pattern": r"^\d+-\d+-\d+$",
        "description": "Epoch, transaction and sequence: three numbers, compared in that order. Rises within a partition.",
    },
    "ce_previous": {
        "type": "string",
        "pattern": r"^\d+-\d+-\d+$",
        "description": "The position of the record before in the partition; 0-0-0 for the first.",
    },
    "traceparent": {"type": "string", "description": "W3C trace context, where the request was traced."},
}
_OPTIONAL = {"traceparent"}

_WATERMARK = {
    "type": "object",
    "required": ["epoch", "time", "positions", "seen"],
    "properties": {
        "epoch": {"type": "integer", "minimum": 1},
        "time": {"type": "string", "format": "date-time", "description": "The database clock of the service."},
        "positions": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Partition to the position up to which all that was committed before `time` stands in it.",
        },
        "seen": {
            "type": "object",
            "additionalProperties": {"type": "integer"},
            "description": "Of other services, the end of their watermarks' topic, read before `time`.",
        },
    },
}


def document(service: str, title: str, description: str, schemas: Path, *, partitions: int) -> dict[str, Any]:
    """The AsyncAPI 3.0 document of a service.

    Args:
        schemas: folder of its messages' JSON Schemas, `<name>.v<n>.schema.json`, with `samples/<name>.v<n>.json`.
    """
    types = sorted(path.name.removesuffix(".schema.json") for path in schemas.glob("*.schema.json"))
    messages = {name: _of_service(service, name, schemas) for name in types}
    messages[RAISED] = _message(
        f"{service}.{RAISED}",
        epoch_raised_schema(service),
        {"epoch": 2, "recorded_at": "2026-03-01T12:00:00Z"},
    )
    types.append(RAISED)
    messages["watermark"] = {
        "name": "watermark",
        "title": "Watermark",
        "summary": "Whoever has read that far knows what had not happened by then.",
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": ["content-type"],
            "properties": {"content-type": _HEADERS["content-type"]},
        },
        "payload": _WATERMARK,
        "bindings": {"kafka": {"key": {"type": "string", "const": service}}},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"{title}: events",
            "version": "1",
            "description": _DESCRIPTION.format(description=description).strip(),
        },
        "defaultContentType": "application/json",
        "channels": {
            "events": _channel(f"{service}.events", "Facts, kept for ever.", types, partitions, ["delete"]),
            "watermarks": _channel(f"{service}.watermarks", "About one a second.", ["watermark"], 1, ["compact"]),
        },
        "operations": {
            "publishFacts": _sending("events", types),
            "publishWatermarks": _sending("watermarks", ["watermark"]),
        },
        "components": {"messages": messages},
    }


def epoch_raised_schema(service: str) -> dict[str, Any]:
    """JSON Schema of the message with which every partition of a service's topic is told of a restore."""
    schema: dict[str, Any] = json.loads(schema_of(f"{service}.{RAISED}", EpochRaised))
    return schema


def _of_service(service: str, name: str, schemas: Path) -> dict[str, Any]:
    type_name = f"{service}.{name}"
    schema = json.loads((schemas / file_name(type_name)).read_text())
    sample = json.loads((schemas / "samples" / f"{name}.json").read_text())
    return _message(type_name, schema, sample)


def _message(type_name: str, schema: dict[str, Any], sample: dict[str, Any]) -> dict[str, Any]:
    service, _, name = type_name.partition(".")
    own = {"ce_type": type_name, "ce_source": f"/{service}", "ce_dataschema": schema["$id"]}
    headers = {
        "type": "object",
        "required": [*(header for header in _HEADERS if header not in _OPTIONAL), *own],
        "properties": {**_HEADERS, **{header: {"type": "string", "const": value} for header, value in own.items()}},
    }
    # Definitions of a schema stand inside it; its references are made to lead there.
    inside = f"#/components/messages/{_escaped(name)}/payload/schema/$defs/"
    payload = json.loads(json.dumps(schema).replace('"#/$defs/', f'"{inside}'))
    return {
        "name": type_name,
        "title": type_name,
        "summary": schema.get("description", "").partition("\n")[0],
        "contentType": "application/json",
        "headers": headers,
        "payload": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": payload},
        "bindings": {"kafka": {"key": {"type": "string"}}},
        "examples": [{"name": name.replace(".", "-"), "payload": sample}],
    }


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _channel(
    address: str, description: str, messages: list[str], partitions: int, cleanup: list[str]
) -> dict[str, Any]:
    configuration = {"cleanup.policy": cleanup, **({"retention.ms": -1} if cleanup == ["delete"] else {})}
    return {
        "address": address,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{_escaped(name)}"} for name in messages},
        "bindings": {"kafka": {"topic": address, "partitions": partitions, "topicConfiguration": configuration}},
    }


def _sending(channel: str, messages: list[str]) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{_escaped(name)}"} for name in messages],
    }
