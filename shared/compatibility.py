"""Whether a new JSON Schema of a message would break somebody who reads by the old one.

A message is written by us and read by others, so what counts is what we may write: a reader built on the old schema must
understand every value that the new one allows. New optional fields are fine (readers ignore what they do not know);
a field that goes away or becomes optional, a wider type or range and a new value of an enumeration are not. Neither is a
new required field, or a narrower type, for whoever writes by the old schema: republished facts and stored samples.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_BOUNDS = {
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "pattern",
    "format",
}  # fmt: skip


def breaks(old: Schema, new: Schema) -> list[str]:
    """Each way in which `new` would break a reader or a writer of `old`, as a sentence with the path of the field."""
    return list(_breaks(old, new, old, new, ""))


def _breaks(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> Iterator[str]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    where = path or "the message"
    if alternatives := _alternatives(old) | _alternatives(new):
        yield from _of_alternatives(old, new, old_root, new_root, path, alternatives)
        return
    for keyword in ("type", "const"):
        if old.get(keyword) != new.get(keyword):
            yield f"{where}: {keyword} {old.get(keyword)!r} became {new.get(keyword)!r}"
    if (before := set(old.get("enum", ()))) != (after := set(new.get("enum", ()))):
        yield f"{where}: the values {sorted(before)} became {sorted(after)}"
    for bound in sorted(_BOUNDS):
        if old.get(bound) != new.get(bound):
            yield f"{where}: {bound} {old.get(bound)!r} became {new.get(bound)!r}"
    yield from _of_fields(old, new, old_root, new_root, path)
    if "items" in old and "items" in new:
        yield from _breaks(old["items"], new["items"], old_root, new_root, f"{path}[]")


def _of_fields(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in sorted(before.keys() - after.keys()):
        yield f"{path}/{name}: the field is gone"
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{path}/{name}: the field became required"
    for name in sorted(set(old.get("required", ())) & after.keys() - set(new.get("required", ()))):
        yield f"{path}/{name}: the field became optional"
    for name in sorted(before.keys() & after.keys()):
        yield from _breaks(before[name], after[name], old_root, new_root, f"{path}/{name}")


def _of_alternatives(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str, types: set[str]
) -> Iterator[str]:
    """Schemas of which one or both allow several types, at most one of them not plain: `X or null`."""
    before, after = _by_type(old, old_root), _by_type(new, new_root)
    for kind in sorted(types):
        if kind not in before or kind not in after:
            yield f"{path or 'the message'}: {kind} is {'no longer' if kind in before else 'newly'} allowed"
        else:
            yield from _breaks(before[kind], after[kind], old_root, new_root, path)


def _resolved(schema: Schema, root: Schema) -> Schema:
    while (reference := schema.get("$ref")) is not None:
        schema = root["$defs"][reference.removeprefix("#/$defs/")]
    return schema


def _alternatives(schema: Schema) -> set[str]:
    """The types that a schema allows, if it is one that lists several."""
    if "anyOf" in schema:
        return {str(each.get("type", "object")) for each in schema["anyOf"]}
    return set(schema["type"]) if isinstance(schema.get("type"), list) else set()


def _by_type(schema: Schema, root: Schema) -> dict[str, Schema]:
    if "anyOf" in schema:
        resolved = [_resolved(each, root) for each in schema["anyOf"]]
        return {str(each.get("type", "object")): each for each in resolved}
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return {kind: {**schema, "type": kind} for kind in kinds}
    return {str(kinds): schema}
