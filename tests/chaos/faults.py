"""Which faults strike an episode, drawn by chance; each leaves the healing to the episode."""

import random
from collections.abc import Callable

from tests.chaos.fault import Fault
from tests.chaos.process_faults import at_failpoint, killed, paused, revoked, stopped_writing, wrong_clock
from tests.chaos.server_faults import broker_restarted, disk_full, held_transaction, postgres_restarted
from tests.chaos.world import World
from tests.support.clocks import movable


def draw(chance: random.Random, world: World) -> list[Fault]:
    """One to three faults that do not touch the same."""
    makers: dict[Callable[[random.Random, World], Fault], float] = {
        at_failpoint: 9,
        killed: 2,
        revoked: 0.7,
        paused: 1.5,
        stopped_writing: 1.5,
        postgres_restarted: 1.2,
        held_transaction: 1.5,
    }
    if world.broker is not None:
        makers[broker_restarted] = 2
    if movable():
        makers[wrong_clock] = 1.5
    if world.disk is not None:
        makers[disk_full] = 1
    found: dict[str, Fault] = {}
    for make in chance.choices(list(makers), list(makers.values()), k=chance.choice((1, 1, 2, 2, 3))):
        fault = make(chance, world)
        found.setdefault(fault.touches, fault)
    return list(found.values())
