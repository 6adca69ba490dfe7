"""The published language of content is what its contracts say, and content reads membership's as its owner writes it."""

from pathlib import Path

import msgspec
import pytest

import services.content
import services.membership
from services.content import inbound
from services.content.messages import TYPES
from shared.messaging.facts import InboundFact, Poison
from tests.support.contracts import check_samples, check_schemas

CONTRACTS = Path(services.content.__file__).parent / "contracts"
MEMBERSHIP_SAMPLES = Path(services.membership.__file__).parent / "contracts" / "samples"


def record(type_name: str, value: bytes) -> InboundFact:
    return InboundFact("membership.events", 0, 0, "bo", type_name, "event", "1-1-1", None, value)


def test_the_committed_schemas_are_those_of_the_messages() -> None:
    check_schemas(CONTRACTS, TYPES)


def test_the_samples_are_messages() -> None:
    check_samples(CONTRACTS, TYPES)


@pytest.mark.parametrize("type_name", sorted(inbound.READERS))
def test_membership_s_samples_are_read(type_name: str) -> None:
    value = (MEMBERSHIP_SAMPLES / f"{type_name.removeprefix('membership.')}.json").read_bytes()
    read = msgspec.json.decode(msgspec.json.encode(inbound.read(record(type_name, value))))
    sample = msgspec.json.decode(value)
    assert read
    assert read == {name: sample[name] for name in read}


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"community":1,"person":"bo"}', b"\xff"])
def test_what_has_not_the_shape_of_its_type_is_poison(value: bytes) -> None:
    with pytest.raises(Poison):
        inbound.read(record("membership.member-left.v1", value))
