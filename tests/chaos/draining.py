"""Wait until nothing is under way: all is published, folded by everybody, and every purchase and join is settled."""

import asyncio
from collections.abc import Mapping
from typing import Any

from shared.position import Position
from tests.chaos.world import DEFINITIONS, World


async def until_drained(world: World, seconds: float) -> None:
    """Return when two looks in a row find that nothing is left to do, and nothing happened between them.

    Raises:
        TimeoutError: with what is left.
    """
    connections = {service: await world.connect(service) for service in DEFINITIONS}
    left: list[str] = ["no look was possible"]
    try:
        async with asyncio.timeout(seconds):
            before: Any = None
            while True:
                ends = {service: await _ends(connection) for service, connection in connections.items()}
                left = await _left(world, connections, ends)
                if not left and ends == before:
                    return
                before = ends
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise TimeoutError(f"not drained: {'; '.join(left) or 'it goes on and on'}") from None
    finally:
        for connection in connections.values():
            await connection.close()


async def _ends(connection: Any) -> dict[int, Position]:
    """The last position of each partition that a service has committed facts for."""
    rows = await connection.fetch(
        """
        select distinct on (partition) partition, epoch, transaction_id::text::bigint, sequence
          from events
         where partition is not null
         order by partition, epoch desc, transaction_id desc, sequence desc
        """
    )
    return {row[0]: Position(*row[1:]) for row in rows}


async def _left(world: World, connections: Mapping[str, Any], ends: Mapping[str, Mapping[int, Position]]) -> list[str]:
    left = []
    for service, definition in DEFINITIONS.items():
        assert definition.projection is not None
        projection = definition.projection(world.settings[service])
        rows = await connections[service].fetch(
            "select topic, lane, epoch, transaction_id, sequence from lane_topics where consumer = $1",
            projection.consumer,
        )
        at = {(row[0], row[1]): Position(*row[2:]) for row in rows}
        behind = [
            f"{topic}/{partition}"
            for topic in projection.topics
            for partition, end in ends[topic.removesuffix(".events")].items()
            if at.get((topic, partition)) != end
        ]
        if behind:
            left.append(f"{service} has not folded {', '.join(behind)}")
    if waiting := await connections["membership"].fetchval("select count(*) from deferred_joins"):
        left.append(f"{waiting} joins are not settled")
    if waiting := await connections["campaigns"].fetchval("select count(*) from unattributed"):
        left.append(f"{waiting} purchases are not attributed")
    return left
