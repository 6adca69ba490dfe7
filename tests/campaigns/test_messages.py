"""The published language of campaigns is what its contracts say, and campaigns reads others' as their owners write it."""

from pathlib import Path

import msgspec
import pytest

import services
from services.campaigns import inbound
from services.campaigns.messages import TYPES
from shared.messaging.facts import InboundFact, Poison
from tests.campaigns.heard import joined
from tests.support.contracts import check_samples, check_schemas

SERVICES = Path(services.__file__).parent
CONTRACTS = SERVICES / "campaigns" / "contracts"


def record(type_name: str, value: bytes) -> InboundFact:
    return InboundFact("topic", 0, 0, "bo", type_name, "event", "1-1-1", None, value)


def test_the_committed_schemas_are_those_of_the_messages() -> None:
    check_schemas(CONTRACTS, TYPES)


def test_the_samples_are_messages() -> None:
    check_samples(CONTRACTS, TYPES)


@pytest.mark.parametrize("type_name", sorted(inbound.READERS))
def test_others_samples_are_read(type_name: str) -> None:
    service, _, name = type_name.partition(".")
    value = (SERVICES / service / "contracts" / "samples" / f"{name}.json").read_bytes()
    read = msgspec.json.decode(msgspec.json.encode(inbound.read(record(type_name, value))))
    sample = msgspec.json.decode(value)
    assert read
    assert read == {name: sample[name] for name in read}


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"organization":1,"person":"bo","join":"x"}', b"\xff"])
def test_what_has_not_the_shape_of_its_type_is_poison(value: bytes) -> None:
    with pytest.raises(Poison):
        inbound.read(record("membership.referral-absent.v1", value))


@pytest.mark.parametrize(
    "changes",
    [
        {"referral": "pending", "join": None},
        {"referral": "bound", "referrer": None},
        {"referral": "undecided"},
        {"recorded_at": "2026-03-01T17:30:00"},
    ],
)
def test_a_join_that_leaves_out_what_its_referral_needs_is_poison(changes: dict[str, object]) -> None:
    fact = joined("bo", "ana")
    fact.value = msgspec.json.encode(msgspec.json.decode(fact.value) | changes)
    with pytest.raises(Poison):
        inbound.read(fact)
