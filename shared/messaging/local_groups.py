"""Membership of groups and reading of the local log: who reads which partitions, and from where."""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import uuid_utils

from shared.failpoints import failpoint
from shared.messaging.cloudevents import read_envelopes
from shared.messaging.facts import InboundFact
from shared.messaging.log import LogUnavailable, OffsetGone, StartAt, TopicPartition

if TYPE_CHECKING:
    from shared.messaging.local import LocalLog, Topic


def share_of(member: str, members: Mapping[str, Sequence[str]], topics: Mapping[str, int]) -> frozenset[TopicPartition]:
    """The partitions of `member`, by ranges: with equal topics each member gets the same numbers of every topic.

    Args:
        members: topics of each member.
        topics: number of partitions of each topic.
    """
    share: set[TopicPartition] = set()
    for topic, partitions in topics.items():
        readers = sorted(name for name, wanted in members.items() if topic in wanted)
        if member not in readers:
            continue
        place = readers.index(member)
        each, extra = divmod(partitions, len(readers))
        first = each * place + min(place, extra)
        share |= {TopicPartition(topic, number) for number in range(first, first + each + (place < extra))}
    return frozenset(share)


class LocalSubscription:
    """See `shared.messaging.log.Subscription`."""

    def __init__(self, log: "LocalLog", topics: "Sequence[Topic]", *, group: str, start_at: StartAt) -> None:
        self._log = log
        self._topics = {topic.name: topic for topic in topics}
        self._group = group
        self._start_at = start_at
        self._member = str(uuid_utils.uuid7())
        self._assignment: frozenset[TopicPartition] = frozenset()
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._awake = asyncio.Event()
        self._awake.set()
        self._read_at = 0.0
        for name in self._topics:
            log.wake_on(name, self._awake.set)
        self._membership = f"group:{group}"
        log.wake_on(self._membership, self._show)
        self._shown = asyncio.Event()
        self._member_task = asyncio.create_task(self._stay_member())

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        return self._assignment

    async def fetch(
        self, *, max_records: int, timeout_seconds: float
    ) -> Mapping[TopicPartition, Sequence[InboundFact]]:
        deadline = time.monotonic() + timeout_seconds
        while True:
            now = time.monotonic()
            poll_at = self._read_at + self._log.poll_seconds
            if self._awake.is_set() or now >= poll_at:
                self._awake.clear()
                self._read_at = now
                try:
                    await self._start_new_partitions()
                    found = await self._read(max_records)
                except BaseException:
                    self._awake.set()
                    raise
                if found:
                    self._awake.set()
                    return found
                continue
            if now >= deadline:
                return {}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(deadline, poll_at) - now):
                    await self._awake.wait()

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition in self._assignment:
            self._positions[partition] = offset
            self._awake.set()

    def pause(self, partition: TopicPartition) -> None:
        self._paused.add(partition)

    def resume(self, partition: TopicPartition) -> None:
        self._paused.discard(partition)
        self._awake.set()

    async def end_offsets(self) -> Mapping[TopicPartition, int]:
        ends = {name: await self._log.end_offsets(name) for name in self._topics}
        return {where: ends[where.topic][where.partition] for where in self._assignment}

    async def report(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Nothing shows the local log's groups on a dashboard."""

    async def close(self) -> None:
        self._log.forget(self._awake.set)
        self._log.forget(self._show)
        self._member_task.cancel()
        await asyncio.gather(self._member_task, return_exceptions=True)
        self._assignment = frozenset()
        self._positions.clear()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(5):
                await self._log.leave(self._group, self._member)
        self._log.appended({self._membership})

    async def _start_new_partitions(self) -> None:
        if fresh := self._assignment - self._positions.keys():
            offsets = await self._start_at(fresh)
            for where in fresh & self._assignment:
                self._paused.discard(where)
                self._positions[where] = offsets[where]

    async def _read(self, max_records: int) -> Mapping[TopicPartition, Sequence[InboundFact]]:
        wanted = {where: offset for where, offset in self._positions.items() if where not in self._paused}
        if not wanted:
            return {}
        found = await self._log.read_many(wanted, max_records=max_records)
        if not found:
            await self._check_positions(wanted)
        read = {}
        for where, records in found.items():
            # Revoked, paused or sought meanwhile: not what was asked for any more.
            if self._positions.get(where) != wanted[where] or where in self._paused:
                continue
            if records[0].offset != wanted[where] and not self._topics[where.topic].compacted:
                raise OffsetGone(f"{where.topic}/{where.partition} holds no offset {wanted[where]}")
            # What was read goes to the end of the line, so that no partition waits for ever behind a busy one.
            del self._positions[where]
            self._positions[where] = records[-1].offset + 1
            read[where] = read_envelopes(records)
        return read

    async def _check_positions(self, wanted: Mapping[TopicPartition, int]) -> None:
        for name in {where.topic for where in wanted}:
            ends = await self._log.end_offsets(name)
            for where, offset in wanted.items():
                if where.topic == name and offset > ends[where.partition] and self._positions.get(where) == offset:
                    raise OffsetGone(f"{name}/{where.partition} ends at {ends[where.partition]}, before {offset}")

    def _show(self) -> None:
        self._shown.set()

    async def _stay_member(self) -> None:
        """Show that this member lives, and take what is its share; at once when another one comes or goes."""
        known: frozenset[str] = frozenset()
        while True:
            self._shown.clear()
            with contextlib.suppress(LogUnavailable):
                members = await self._log.heartbeat(self._group, self._member, list(self._topics))
                if members.keys() != known:
                    known = frozenset(members)
                    self._log.appended({self._membership})
                share = share_of(
                    self._member, members, {name: topic.partitions for name, topic in self._topics.items()}
                )
                if share != self._assignment:
                    await self._take(share)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._log.heartbeat_seconds):
                    await self._shown.wait()

    async def _take(self, share: frozenset[TopicPartition]) -> None:
        revoked = self._assignment - share
        self._assignment = share
        for where in revoked:
            self._positions.pop(where, None)
        if revoked:
            await failpoint("consumer.in-revoke")
        self._awake.set()
