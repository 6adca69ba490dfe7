"""The published language of membership is what its contracts say."""

from pathlib import Path

import services.membership
from services.membership.messages import TYPES
from tests.support.contracts import check_samples, check_schemas

CONTRACTS = Path(services.membership.__file__).parent / "contracts"


def test_the_committed_schemas_are_those_of_the_messages() -> None:
    check_schemas(CONTRACTS, TYPES)


def test_the_samples_are_messages() -> None:
    check_samples(CONTRACTS, TYPES)
