import re

import pytest

from shared.codes import new_code, normalize


def test_a_code_is_random_and_typed_as_made() -> None:
    codes = {new_code() for _ in range(200)}
    assert len(codes) == 200
    assert all(re.fullmatch("[0-9A-HJKMNP-TV-Z]{8}", code) and normalize(code) == code for code in codes)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("7k3m9q2x", "7K3M9Q2X"),
        ("7K3M-9Q2X", "7K3M9Q2X"),
        ("olil0000", "01110000"),
        ("7K3M9Q2", None),
        ("7K3M9Q2U", None),
    ],
)
def test_what_people_type_is_understood(typed: str, code: str | None) -> None:
    assert normalize(typed) == code
