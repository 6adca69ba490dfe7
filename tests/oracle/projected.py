"""Put rulesets into the tables of scoring, feed it facts, and read its tables as the oracle's numbers."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import asyncpg
import msgspec

from services.scoring.ruleset import Act, Reason
from shared.messaging.facts import InboundFact
from tests.oracle.oracle import Booking, Effect, Fact, Member, Ruleset, Scores, Version
from tests.scoring.feeder import Feeder

Connection = Any


def plain(fact: InboundFact) -> Fact:
    """A fact as the oracle takes it."""
    data: dict[str, Any] = msgspec.json.decode(fact.value) | {"type": fact.type, "id": fact.event_id}
    for name, value in data.items():
        if name.endswith("_at") and value is not None:
            data[name] = datetime.fromisoformat(value)
        elif name.endswith("local_day"):
            data[name] = date.fromisoformat(value)
    return data


def rules_of(ruleset: Ruleset) -> Mapping[str, Any]:
    """A ruleset as scoring stores it; acts that are worth nothing may be left out."""
    acts: dict[str, dict[str, int | None]] = {
        act: {"weight": weight, "points": points, "daily_cap": cap}
        for act, (weight, points, cap) in ruleset.prices.items()
        if weight or points or act == "purchase"
    }
    acts["purchase"]["minor_units_per_point"] = ruleset.divisor
    return {
        "acts": acts,
        "commission_basis_points": list(ruleset.levels),
        "commission_hold_days": ruleset.hold_days,
    }


async def publish(connection: Connection, versions: Sequence[Version]) -> None:
    """Write versions into the table; their numbers are the oracle's."""
    for n, version in enumerate(versions, start=1):
        await connection.execute(
            """
            insert into ruleset_versions
                   (ruleset, organization, community, version, valid_from, rules, published_by, published_at)
            overriding system value
            values ($1, $2, $3, $4, $5, $6::text::jsonb, 'rules-desk', $5)
            """,
            version.ruleset.number,
            version.organization,
            version.community,
            n,
            version.valid_from,
            json.dumps(rules_of(version.ruleset)),
        )


async def empty(connection: Connection) -> None:
    """Put the database back to how it was made."""
    await connection.execute(
        """
        truncate journal, point_entries, day_counts, standings, rank_buckets, persons, communities, orders,
                 commission_entries, commission_standings, ruleset_versions restart identity
        """
    )


async def projected(connection: Connection, facts: Sequence[InboundFact], versions: Sequence[Version]) -> Scores:
    """All numbers of the facts, as the service's own projection makes them."""
    await publish(connection, versions)
    await Feeder(connection).apply(facts)
    return await read(connection)


async def read(connection: Connection) -> Scores:
    scores = Scores(effects=await _effects(connection))
    days: defaultdict[Member, dict[date, int]] = defaultdict(dict)
    for organization, person, community, day, score in await connection.fetch(
        """
        select persons.organization, person, community::text, day, sum(score)::bigint
          from day_counts
          join persons using (person_no)
          join communities using (community_no)
         group by 1, 2, 3, 4
        having sum(score) <> 0
        """
    ):
        days[organization, person, community][day] = score
    scores.day_scores = dict(days)
    scores.points = await _by_member(connection, "standings", "points")
    scores.earned = await _by_member(connection, "commission_standings", "commission")
    for purchase, refund, level, *booking in await connection.fetch(
        "select purchase::text, refund::text, level, person, amount, rate, payable_at from commission_entries"
    ):
        scores.commission[purchase, refund, level] = Booking(*booking)
    return scores


async def keys(connection: Connection) -> dict[Member, int]:
    """The rank keys that boards of activity are ordered by."""
    return {m: key for m, key in (await _by_member(connection, "standings", "activity_key")).items() if key is not None}


async def _by_member(connection: Connection, table: str, column: str) -> dict[Member, Any]:
    rows = await connection.fetch(
        f"""
        select organization, person, community::text, {column}
          from {table}
          join communities using (community_no)
        """
    )
    return {(organization, person, community): value for organization, person, community, value in rows}


async def _effects(connection: Connection) -> dict[str, Effect]:
    rows: list[asyncpg.Record] = await connection.fetch(
        """
        select event_id::text, persons.person, act, ruleset, points_wanted, points_given, weight_wanted, weight_given,
               reason
          from point_entries
          join persons using (person_no)
          join journal using (lane, seq)
        """
    )
    effects = {}
    for event, person, act, *numbers, reason in rows:
        effects[event] = effect = Effect(person, Act(act).name.lower(), *numbers)
        assert effect.reason == (None if reason is None else Reason(reason).name.lower()), f"{effect} for {reason}"
    return effects
