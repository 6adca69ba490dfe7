"""Where a fact stands in its service's history, and the tokens clients carry to read their own writes."""

from typing import NamedTuple, Self

from shared.errors import BadRequest


class Position(NamedTuple):
    """The place of a fact: compared as a whole, never by one of its parts.

    Sequence numbers do not rise in the order in which readers see transactions, and transaction ids are handed
    out again after a restore; only (epoch, transaction id, sequence) together rise for every reader.
    """

    epoch: int
    transaction_id: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.transaction_id}-{self.sequence}"

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Read `<epoch>-<transaction id>-<sequence>`; raise ValueError on anything else."""
        if isinstance(text, bytes):
            text = text.decode("ascii")
        epoch, transaction_id, sequence = text.split("-")
        if not (epoch.isdecimal() and transaction_id.isdecimal() and sequence.isdecimal() and text.isascii()):
            raise ValueError(f"not a position: {text!r}")
        return cls(int(epoch), int(transaction_id), int(sequence))


START = Position(0, 0, 0)
"""Before the first fact. As `previous`, it says that a record is the first of its partition."""


class Token(NamedTuple):
    """A consistency token: a reader that has passed it has seen the fact at `position` of that partition."""

    service: str
    partition: int
    position: Position

    def __str__(self) -> str:
        return f"{self.service}.{self.partition}.{self.position}"


def parse_tokens(header: str) -> list[Token]:
    """Read a `Consistency-Token` header: comma-separated `<service>.<partition>.<position>`.

    Raises:
        BadRequest: the header is not of that form.
    """
    tokens = []
    for part in header.split(","):
        try:
            service, partition, position = part.strip().split(".")
            number = int(partition)
            if not (service.isidentifier() and 0 <= number < 32768):
                raise ValueError
            tokens.append(Token(service, number, Position.parse(position)))
        except ValueError:
            raise BadRequest(
                "consistency-token-malformed",
                "Send the Consistency-Token header back exactly as an earlier answer gave it.",
            ) from None
    return tokens
