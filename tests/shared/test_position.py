import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadRequest
from shared.position import Position, Token, parse_tokens

positions = st.builds(Position, st.integers(1, 9), st.integers(0, 2**63), st.integers(0, 2**63 - 1))


@given(positions)
def test_a_position_reads_back_as_it_was_written(position: Position) -> None:
    assert Position.parse(str(position)) == position
    assert Position.parse(str(position).encode()) == position


def test_positions_are_compared_as_a_whole() -> None:
    assert Position(1, 9, 1) > Position(1, 8, 2)
    assert Position(2, 1, 1) > Position(1, 999, 999)


@pytest.mark.parametrize("text", ["", "1-2", "1-2-3-4", "a-b-c", "1-2--3", "-1-2-3", " 1-2-3", "1-2-٣"])
def test_anything_else_is_no_position(text: str) -> None:
    with pytest.raises(ValueError):
        Position.parse(text)


@given(
    st.lists(st.builds(Token, st.sampled_from(["membership", "content"]), st.integers(0, 99), positions), min_size=1)
)
def test_tokens_read_back_as_they_were_written(tokens: list[Token]) -> None:
    assert parse_tokens(",".join(map(str, tokens))) == tokens
    assert parse_tokens(" , ".join(map(str, tokens))) == tokens


@pytest.mark.parametrize(
    "header", ["", "x", "membership.1", "membership.x.1-2-3", "membership.-1.1-2-3", "membership.99999.1-2-3", ","]
)
def test_a_malformed_token_is_refused_with_advice(header: str) -> None:
    with pytest.raises(BadRequest, match="exactly as an earlier answer"):
        parse_tokens(header)
