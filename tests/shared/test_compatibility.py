"""A change of a message that would break a reader fails, against the schemas as last released."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from deploy.local.run import SERVICES
from shared.compatibility import breaks
from shared.contracts import schema_of
from shared.service import Definition


class Inner(Struct, frozen=True, kw_only=True):
    level: int
    person: str


class Old(Struct, frozen=True, kw_only=True):
    person: Annotated[str, Meta(max_length=64)]
    kind: Literal["a", "b"]
    amount: Annotated[int, Meta(ge=0)]
    note: str | None
    chain: list[Inner]
    extra: str | None = None


def schema(kind: type[Struct]) -> dict[str, Any]:
    return msgspec.json.decode(schema_of("toy.fact.v1", kind))  # type: ignore[no-any-return]


def changed(**fields: Any) -> dict[str, Any]:
    """`Old` with other fields; None takes one away."""
    own: dict[str, Any] = {
        "person": Annotated[str, Meta(max_length=64)],
        "kind": Literal["a", "b"],
        "amount": Annotated[int, Meta(ge=0)],
        "note": str | None,
        "chain": list[Inner],
        "extra": (str | None, None),
    }
    wanted = {name: kind for name, kind in {**own, **fields}.items() if kind is not ...}
    defined = [(name, *(kind if isinstance(kind, tuple) else (kind,))) for name, kind in wanted.items()]
    return schema(msgspec.defstruct("Old", defined, kw_only=True, frozen=True))


def test_the_same_schema_breaks_nobody() -> None:
    assert breaks(schema(Old), changed()) == []


def test_a_new_optional_field_breaks_nobody() -> None:
    assert breaks(schema(Old), changed(more=(int | None, None))) == []


class WiderInner(Struct, frozen=True, kw_only=True):
    level: int


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"more": int}, "/more: the field became required"),
        ({"person": ...}, "/person: the field is gone"),
        ({"person": (Annotated[str, Meta(max_length=64)], "nobody")}, "/person: the field became optional"),
        ({"person": Annotated[str, Meta(max_length=32)]}, "/person: maxLength 64 became 32"),
        ({"amount": str}, "/amount: type 'integer' became 'string'"),
        ({"amount": Annotated[int, Meta(ge=-5)]}, "/amount: minimum 0 became -5"),
        ({"kind": Literal["a"]}, "/kind: the values ['a', 'b'] became ['a']"),
        ({"kind": Literal["a", "b", "c"]}, "/kind: the values ['a', 'b'] became ['a', 'b', 'c']"),
        ({"note": str}, "/note: null is no longer allowed"),
        ({"amount": int | None}, "/amount: null is newly allowed"),
        ({"extra": (int | None, None)}, "/extra: integer is newly allowed"),
        ({"chain": list[WiderInner]}, "/chain[]/person: the field is gone"),
    ],
)
def test_what_breaks_a_reader_is_named(fields: dict[str, Any], said: str) -> None:
    assert said in breaks(schema(Old), changed(**fields))


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_no_message_has_changed_in_a_way_that_breaks_a_reader(service: Definition[Any]) -> None:
    contracts = service.folder / "contracts"
    released = {path.name: path for path in (contracts / "released").glob("*.schema.json")}
    assert released, "nothing is released: python -m shared.contracts --release services.<name>"
    for name, path in released.items():
        current = contracts / name
        assert current.exists(), f"{name} was released and is gone; a message that changes gets a new version beside it"
        assert breaks(read(path), read(current)) == [], name


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())  # type: ignore[no-any-return]
