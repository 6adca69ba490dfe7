"""Read all that is stored, of every service and of the log, for the checker."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.scoring.inbound import TYPE_OF_KIND
from shared.messaging.cloudevents import read_envelopes
from shared.messaging.facts import InboundFact
from shared.messaging.log import Log, TopicPartition
from shared.messaging.logs import open_log
from shared.position import Position
from tests.chaos.history import Evidence, Journaled, Kept, Reached, Stored
from tests.chaos.world import DEFINITIONS, World
from tests.oracle import projected
from tests.scoring.recomputing import recomputed, recomputed_commission

PAGE_RECORDS = 1000


async def read_evidence(world: World) -> Evidence:
    """Everything; only when it is drained do the parts belong together."""
    stored: list[Stored] = []
    kept: list[Kept] = []
    reached: list[Reached] = []
    parked: list[str] = []
    for service in DEFINITIONS:
        connection = await world.connect(service)
        try:
            stored += await _stored(connection, service)
            rows = await connection.fetch("select key, status, token from idempotency_keys")
            kept += [Kept(service, row["key"], row["status"], row["token"]) for row in rows]
            reached += await _reached(connection)
            rows = await connection.fetch("select key, type, reason from dead_letters")
            parked += [f"parked: {service} {row['key']} {row['type']}: {row['reason']}" for row in rows]
        finally:
            await connection.close()
    logged = await _logged(world)
    scoring = await world.connect("scoring")
    try:
        ended: datetime = await scoring.fetchval("select clock_timestamp()")
        journal = await scoring.fetch("select lane, seq, event_id::text from journal")
        return Evidence(
            stored=stored,
            logged=logged,
            kept=kept,
            reached=reached,
            journal=[Journaled(*row) for row in journal],
            journaled_types=frozenset(TYPE_OF_KIND.values()),
            parked=parked,
            began=world.began,
            ended=ended,
            sums=await _sums(scoring),
            scores=await projected.read(scoring),
        )
    finally:
        await scoring.close()


async def _stored(connection: Any, service: str) -> list[Stored]:
    rows = await connection.fetch(
        """
        select stream_id, version, event_id::text as event_id, type, partition, epoch,
               transaction_id::text::bigint as transaction_id, sequence, occurred_at, recorded_at, data::text as data
          from events
        """
    )
    return [
        Stored(
            service,
            row["stream_id"],
            row["version"],
            row["event_id"],
            row["type"],
            row["partition"],
            Position(row["epoch"], row["transaction_id"], row["sequence"]),
            row["occurred_at"],
            row["recorded_at"],
            json.loads(row["data"]),
        )
        for row in rows
    ]


async def _reached(connection: Any) -> list[Reached]:
    rows = await connection.fetch(
        "select consumer, topic, lane, epoch, transaction_id, sequence from lane_topics where sequence > 0"
    )
    return [Reached(row[0], row[1], row[2], Position(*row[3:])) for row in rows]


async def _logged(world: World) -> dict[str, list[InboundFact]]:
    log = await open_log(world.settings["content"], client_id="chaos")
    try:
        return {definition.topic: await _topic(log, definition.topic) for definition in DEFINITIONS.values()}
    finally:
        await log.close()


async def _topic(log: Log, topic: str) -> list[InboundFact]:
    found: list[InboundFact] = []
    for partition, end in (await log.end_offsets(topic)).items():
        offset = 0
        while offset < end:
            where = TopicPartition(topic, partition)
            records = await log.read(where, offset=offset, max_records=PAGE_RECORDS)
            found += read_envelopes(records)
            offset = records[-1].offset + 1
    return found


async def _sums(scoring: Any) -> dict[str, tuple[Sequence[Any], Sequence[Any]]]:
    """By table: its rows, and what they must be."""
    standings = await scoring.fetch(
        """
        select persons.organization, persons.person, community, activity_key, points
          from standings
          join persons using (person_no)
          join communities using (community_no)
        """
    )
    commission = await scoring.fetch(
        """
        select organization, person, community, commission
          from commission_standings
          join communities using (community_no)
         where commission <> 0
        """
    )
    return {
        "standings": ([tuple(row) for row in standings], await recomputed(scoring)),
        "commission_standings": ([tuple(row) for row in commission], await recomputed_commission(scoring)),
        "rank_buckets": await _boards(scoring),
    }


async def _boards(scoring: Any) -> tuple[list[Any], list[Any]]:
    """How many members each board counts in its buckets, and how many stand on it."""
    buckets = await scoring.fetch(
        "select metric, sum(members)::bigint from rank_buckets group by metric having sum(members) <> 0"
    )
    due = await scoring.fetch(
        """
        select 1 as metric, count(*) from standings where active and activity_key is not null
        union all
        select 2, count(*) from standings where active and points <> 0
        union all
        select 3, count(*) from commission_standings where active and commission <> 0
        """
    )
    return [tuple(row) for row in buckets], [tuple(row) for row in due if row[1]]
