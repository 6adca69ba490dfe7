"""Look up what a batch needs and the memories lack: one query per table, plain reads; then numbers for who has none."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from services.scoring.commission import Order
from services.scoring.memory import LaneMemory, PersonKey
from services.scoring.orders import OrderKey
from services.scoring.ruleset import Act, Rulesets
from services.scoring.scorecard import Community, Scorecard, Standing


async def new_memories(connection: Any, lanes: Sequence[int]) -> Mapping[int, LaneMemory]:
    """An empty memory for each of these lanes, with the next journal number."""
    rows = await connection.fetch(
        """
        select lane, coalesce((select max(seq) from journal where journal.lane = wanted.lane), 0) + 1
          from unnest($1::smallint[]) as wanted (lane)
        """,
        lanes,
    )
    return {lane: LaneMemory(lane, next_seq) for lane, next_seq in rows}


async def look_up(connection: Any, memories: Sequence[LaneMemory]) -> None:
    """Read what is stored of whom these memories met. Writes nothing."""
    if unknown := _unknown_communities(memories):
        await _fill_communities(connection, unknown)
    await _look_up_persons(connection, memories)


async def give_numbers(connection: Any, memories: Sequence[LaneMemory]) -> None:
    """Give a number to everybody whom these memories met and the look-up did not find. Then all are known."""
    await _number_communities(connection, _unknown_communities(memories))
    await _number_persons(connection, {key: memory for memory in memories for key in memory.unknown_persons})
    for memory in memories:
        memory.looked_up()


async def recall_orders(
    connection: Any, wanted: Mapping[OrderKey, LaneMemory], rulesets: Rulesets
) -> Mapping[OrderKey, Order]:
    """Those of the wanted orders that are stored, each given with the memory that knows its buyer and community."""
    if not wanted:
        return {}
    rows = await connection.fetch(
        """
        select wanted.*, order_id, currency, occurred_at, day, ruleset, paid, commissionable, refunded, chain
          from unnest($1::text[], $2::text[], $3::text[], $4::text[])
               as wanted (organization, person, community, purchase)
          join persons using (organization, person)
          join communities on communities.community = wanted.community::uuid
          join orders on orders.person_no = persons.person_no
                     and orders.community_no = communities.community_no
                     and orders.purchase = wanted.purchase::uuid
        """,
        *(list(column) for column in zip(*wanted, strict=True)),
    )
    orders = {}
    for *key_columns, order_id, currency, at, day, ruleset, paid, commissionable, refunded, chain in rows:
        organization, person, community, purchase = key = tuple(key_columns)
        orders[key] = Order(
            wanted[key].persons[organization, person],
            wanted[key].communities[community],
            purchase,
            order_id,
            currency,
            at,
            day,
            rulesets.numbered(ruleset),
            paid,
            commissionable,
            refunded,
            chain=None if chain is None else msgspec.json.decode(chain),
        )
    return orders


def _unknown_communities(memories: Sequence[LaneMemory]) -> Mapping[str, Sequence[Community]]:
    unknown: dict[str, list[Community]] = {}
    for memory in memories:
        for community in memory.unknown_communities.values():
            unknown.setdefault(community.id, []).append(community)
    return unknown


async def _number_communities(connection: Any, unknown: Mapping[str, Sequence[Community]]) -> None:
    new = sorted(id for id, communities in unknown.items() if not communities[0].number)
    if not new:
        return
    await connection.execute(
        """
        insert into communities (community, organization, zone)
        select community, organization, zone
          from unnest($1::uuid[], $2::text[], $3::text[]) as new (community, organization, zone)
            on conflict (community) do nothing
        """,
        new,
        [unknown[id][0].organization for id in new],
        [unknown[id][0].zone for id in new],
    )
    # Another lane may have been first: its row is visible to a new statement, not to a `returning` of the former.
    await _fill_communities(connection, {id: unknown[id] for id in new})


async def _fill_communities(connection: Any, unknown: Mapping[str, Sequence[Community]]) -> None:
    rows = await connection.fetch(
        """
        select community::text, organization, zone, community_no, half_life_days
          from communities
         where community = any ($1::uuid[])
        """,
        list(unknown),
    )
    for id, organization, zone, number, half_life_days in rows:
        for community in unknown[id]:
            community.organization, community.zone = organization, zone
            community.number, community.half_life_days = number, half_life_days


async def _look_up_persons(connection: Any, memories: Sequence[LaneMemory]) -> None:
    homes = {key: memory for memory in memories for key in memory.unknown_persons}
    if not homes:
        return
    rows = await connection.fetch(
        """
        select person_no, organization, person
          from unnest($1::text[], $2::text[]) as wanted (organization, person)
          join persons using (organization, person)
        """,
        [organization for organization, _ in homes],
        [person for _, person in homes],
    )
    persons: dict[int, Scorecard] = {}
    for number, organization, person in rows:
        scorecard = persons[number] = homes[organization, person].unknown_persons[organization, person]
        scorecard.number = number
    if persons:
        standings = await _recall_standings(connection, persons, homes)
        await _recall_counts(connection, persons, standings)


async def _recall_standings(
    connection: Any, persons: Mapping[int, Scorecard], homes: Mapping[PersonKey, LaneMemory]
) -> Mapping[tuple[int, int], Standing]:
    rows = await connection.fetch(
        """
        select person_no, activity_key, points, active,
               community::text, organization, zone, community_no, half_life_days
          from standings
          join communities using (community_no)
         where person_no = any ($1)
        """,
        list(persons),
    )
    standings = {}
    for number, key, points, active, id, organization, zone, community_no, half_life_days in rows:
        person = persons[number]
        communities = homes[person.organization, person.person].communities
        community = communities.get(id)
        if community is None:
            community = communities[id] = Community(id, organization, zone, community_no, half_life_days)
        standing = Standing(community, key=key, points=points, active=active)
        standings[number, community_no] = person.standings[id] = standing
    return standings


async def _recall_counts(
    connection: Any, persons: Mapping[int, Scorecard], standings: Mapping[tuple[int, int], Standing]
) -> None:
    rows = await connection.fetch(
        """
        select person_no, community_no, day - date '1970-01-01', act, ruleset, n, score
          from day_counts
         where person_no = any ($1)
        """,
        list(persons),
    )
    for number, community_no, day, act, ruleset, n, score in rows:
        standings[number, community_no].restore((day, Act(act), ruleset), n, score)


async def _number_persons(connection: Any, homes: Mapping[PersonKey, LaneMemory]) -> None:
    new = {key: memory for key, memory in homes.items() if not memory.unknown_persons[key].number}
    if not new:
        return
    rows = await connection.fetch(
        """
        insert into persons (organization, person, lane)
        select organization, person, lane
          from unnest($1::text[], $2::text[], $3::smallint[]) as new (organization, person, lane)
        returning person_no, organization, person
        """,
        [organization for organization, _ in new],
        [person for _, person in new],
        [memory.lane for memory in new.values()],
    )
    for number, organization, person in rows:
        new[organization, person].unknown_persons[organization, person].number = number
