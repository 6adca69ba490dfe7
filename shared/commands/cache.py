"""Folded states of streams, kept to spare folding them again. Never trusted without reading the head."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from shared.eventstore import Head

CACHED_STREAMS = 2_000
"""Streams that many write to are few, and most others are never written to again; 1 kB each, about."""


class HeadCache:
    """The most recently written streams of one gateway, at most `size`."""

    def __init__(self, size: int = CACHED_STREAMS) -> None:
        self._heads: OrderedDict[str, Head] = OrderedDict()
        self._size = size

    def known(self, stream_ids: Iterable[str]) -> Mapping[str, Head]:
        """What is kept of these streams. Facts may have come since: `eventstore.load` reads them."""
        return {id: head for id in stream_ids if (head := self._heads.get(id)) is not None}

    def remember(self, heads: Iterable[tuple[str, Head]]) -> None:
        """Keep these heads; call it only with what is committed."""
        for id, head in heads:
            self._heads[id] = head
            self._heads.move_to_end(id)
        while len(self._heads) > self._size:
            self._heads.popitem(last=False)

    def forget(self, stream_ids: Iterable[str]) -> None:
        for id in stream_ids:
            self._heads.pop(id, None)
