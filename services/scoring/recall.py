"""Bring into memory what a batch needs and the memory lacks: one query per table, plain reads only."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.scoring.fold import LaneMemory, PersonKey
from services.scoring.inbound import CommunityFact, Message
from services.scoring.ruleset import Act
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


async def recall(connection: Any, batches: Sequence[tuple[LaneMemory, Sequence[Message]]]) -> None:
    """Load the communities and persons of these messages into each lane's memory. Who has no row stays unknown."""
    await _recall_communities(connection, batches)
    homes: dict[PersonKey, LaneMemory] = {}
    for memory, messages in batches:
        known = memory.persons
        for message in messages:
            if not isinstance(message, CommunityFact) and (key := (message.organization, message.person)) not in known:
                homes[key] = memory
    if homes:
        await _recall_persons(connection, homes)


async def _recall_communities(connection: Any, batches: Sequence[tuple[LaneMemory, Sequence[Message]]]) -> None:
    homes = [
        (memory, {message.community for message in messages} - memory.communities.keys())
        for memory, messages in batches
    ]
    missing: set[str] = set().union(*(wanted for _, wanted in homes))
    if not missing:
        return
    rows = await connection.fetch(
        """
        select community::text, organization, zone, community_no, half_life_days
          from communities
         where community = any ($1::uuid[])
        """,
        list(missing),
    )
    found = {row[0]: row for row in rows}
    for memory, wanted in homes:
        for community in wanted & found.keys():
            memory.communities[community] = _community(*found[community])


async def _recall_persons(connection: Any, homes: Mapping[PersonKey, LaneMemory]) -> None:
    rows = await connection.fetch(
        """
        select person_no, organization, person
          from unnest($1::text[], $2::text[]) as wanted (organization, person)
          join persons using (organization, person)
        """,
        [organization for organization, _ in homes],
        [person for _, person in homes],
    )
    persons = {number: Scorecard(organization, person, number=number) for number, organization, person in rows}
    if not persons:
        return
    standings = await _recall_standings(connection, persons, homes)
    counts = await connection.fetch(
        """
        select person_no, community_no, day - date '1970-01-01', act, ruleset, n, score
          from day_counts
         where person_no = any ($1)
        """,
        list(persons),
    )
    for number, community_no, day, act, ruleset, n, score in counts:
        standings[number, community_no].restore((day, Act(act), ruleset), n, score)
    for person in persons.values():
        homes[person.organization, person.person].learn(person)


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
    for number, key, points, active, *columns in rows:
        person = persons[number]
        communities = homes[person.organization, person.person].communities
        community = communities.setdefault(columns[0], _community(*columns))
        standing = Standing(community, key=key, points=points, active=active)
        standings[number, columns[3]] = person.standings[community.id] = standing
    return standings


def _community(id: str, organization: str, zone: str, number: int, half_life_days: int) -> Community:
    return Community(id, organization, zone, number=number, half_life_days=half_life_days)
