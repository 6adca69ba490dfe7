"""How far a consumer is behind the log, for how long, and whether it still moves."""

from collections import deque
from collections.abc import Collection, Iterable, Mapping

from shared.messaging.log import TopicPartition

_KEPT = 3600
"""End offsets kept of a partition; with older ones gone, the age of the lag is understated."""


class Lag:
    """Fed with the ends of partitions as they are seen, and with what was folded. Times are of one monotonic clock, in
    seconds.
    """

    def __init__(self) -> None:
        self._ends: dict[TopicPartition, deque[tuple[float, int]]] = {}
        self._next: dict[TopicPartition, int] = {}
        self._advanced_at: dict[TopicPartition, float] = {}

    def start(self, offsets: Mapping[TopicPartition, int], *, now: float) -> None:
        """Partitions were taken over; they are folded up to these offsets."""
        for partition, offset in offsets.items():
            self._next[partition] = offset
            self._advanced_at[partition] = now
            self._ends[partition] = deque(maxlen=_KEPT)

    def keep(self, partitions: Collection[TopicPartition]) -> None:
        """Forget all others."""
        for partition in self._next.keys() - set(partitions):
            del self._next[partition], self._advanced_at[partition], self._ends[partition]

    def seen(self, ends: Mapping[TopicPartition, int], *, now: float) -> None:
        """The log ends there now."""
        for partition in ends.keys() & self._next.keys():
            known = self._ends[partition]
            if ends[partition] > max(self._next[partition], known[-1][1] if known else 0):
                known.append((now, ends[partition]))

    def folded(self, offsets: Mapping[TopicPartition, int], *, now: float) -> None:
        """Everything below these offsets is folded."""
        for partition in offsets.keys() & self._next.keys():
            if offsets[partition] > self._next[partition]:
                self._next[partition] = offsets[partition]
                self._advanced_at[partition] = now
            known = self._ends[partition]
            while known and known[0][1] <= self._next[partition]:
                known.popleft()

    def events(self) -> int:
        """Records in the log that are not folded yet."""
        return sum(known[-1][1] - self._next[partition] for partition, known in self._ends.items() if known)

    def seconds(self, *, now: float) -> float:
        """How long the oldest record not folded has been waiting; 0 without lag."""
        return max((now - known[0][0] for known in self._ends.values() if known), default=0.0)

    def stalled(self, seconds: float, *, now: float, but: Iterable[TopicPartition] = ()) -> str | None:
        """Names a partition that has had lag, and not advanced, for so long."""
        for partition in sorted(self._next.keys() - set(but)):
            known = self._ends[partition]
            if known and (idle := now - max(known[0][0], self._advanced_at[partition])) > seconds:
                waiting = known[-1][1] - self._next[partition]
                return (
                    f"{partition.topic}, partition {partition.partition}: {waiting} records wait, "
                    f"and none was folded for {idle:.0f} s"
                )
        return None
