"""Facts to JSON and back, by type names that are written out, never derived."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar, cast

import msgspec

Event = TypeVar("Event")


class Fact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every stored fact. Subclasses name their type: `class PostPublished(Fact, tag="post-published.v1")`."""


class Codec(Generic[Event]):
    """Writes and reads a closed set of facts.

    Args:
        types: the classes, each with an explicit `tag`.
    """

    def __init__(self, types: Sequence[type[Event]]) -> None:
        self._decoders: dict[str, msgspec.json.Decoder[Event]] = {}
        self._tags: dict[type, str] = {}
        for kind in types:
            tag = cast(Any, kind).__struct_config__.tag
            if not isinstance(tag, str) or tag in self._decoders:
                raise ValueError(f"{kind.__name__} needs a tag of its own")
            self._decoders[tag] = msgspec.json.Decoder(kind)
            self._tags[kind] = tag
        self._encoder = msgspec.json.Encoder()

    def type_of(self, event: Event) -> str:
        return self._tags[type(event)]

    def encode(self, event: Event) -> bytes:
        return self._encoder.encode(event)

    def decode(self, type_name: str, data: bytes | str) -> Event:
        """Read a stored fact; raise KeyError for an unknown type, msgspec.ValidationError for a wrong shape."""
        return self._decoders[type_name].decode(data)
