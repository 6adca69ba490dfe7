"""Any history: the tables of the service say what the oracle says, to the unit."""

from collections.abc import Callable
from typing import Any

import asyncpg
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from shared.messaging.facts import InboundFact
from tests.oracle.histories import History, deliveries, histories
from tests.oracle.oracle import Scores, rank_key, score
from tests.oracle.projected import empty, keys, plain, publish, read
from tests.scoring.feeder import Feeder


def by_the_rules(history: History) -> Scores:
    return score([plain(fact) for fact in history.facts], history.versions)


@st.composite
def delivered(draw: st.DrawFn) -> tuple[History, list[list[InboundFact]]]:
    history = draw(histories() | histories(steps="d"))
    return history, draw(deliveries(history.facts))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=delivered(), forgetful=st.booleans())
async def test_service_and_oracle_agree_on_every_number(
    pool: "asyncpg.Pool[asyncpg.Record]", told: tuple[History, list[list[InboundFact]]], forgetful: bool
) -> None:
    history, batches = told
    note(f"{history.in_full()} in batches of {[len(batch) for batch in batches]}")
    async with pool.acquire() as connection:
        await empty(connection)
        await publish(connection, history.versions)
        feeder = Feeder(connection)
        for batch in batches:
            feeder = Feeder(connection) if forgetful else feeder
            await feeder.apply(batch)
        served, stored_keys = (await read(connection)).without_zeros(), await keys(connection)
    expected = by_the_rules(history).without_zeros()
    assert served.day_scores == expected.day_scores
    assert served.points == expected.points
    assert served.effects == expected.effects
    assert served.commission == expected.commission
    assert served.earned == expected.earned
    # How a key is packed into 64 bits is the service's own; order and equality are the rules'.
    exact = {member: rank_key(days) for member, days in expected.day_scores.items()}
    assert stored_keys == {member: (key[0] + 162 << 40) + key[1] for member, key in exact.items() if key is not None}


@settings(deadline=None)
@given(history=histories())
def test_the_sums_of_the_oracle_are_sums_of_its_entries(history: History) -> None:
    """And nothing that can be taken back leaves a person below nothing."""
    scores = by_the_rules(history)
    for organization in ("acme", "rivals"):
        organizations = {fact.event_id: plain(fact)["organization"] for fact in history.facts}
        for person in ("ana", "bo", "cai", "dee"):
            entries = [
                effect.points_given
                for event, effect in scores.effects.items()
                if effect.person == person and organizations[event] == organization
            ]
            assert scores.balance(organization, person) == sum(entries) >= 0
    assert sum(scores.earned.values()) == sum(booking.amount for booking in scores.commission.values())
    assert all(amount >= 0 for amount in scores.earned.values())


@settings(deadline=None)
@given(history=histories(), data=st.data())
def test_totals_of_the_oracle_do_not_depend_on_the_order_of_acts(history: History, data: st.DataObject) -> None:
    """Takings back and refunds stay behind what they are about; everything else may be shuffled."""
    later = ("removed", "withdrawn", "restored", "refunded", "attributed")
    first = [plain(fact) for fact in history.facts if not any(word in fact.type for word in later)]
    then = [plain(fact) for fact in history.facts if any(word in fact.type for word in later)]
    told = score([*first, *then], history.versions)
    shuffled = score([*data.draw(st.permutations(first)), *data.draw(st.permutations(then))], history.versions)
    assert shuffled.day_scores == told.day_scores
    assert shuffled.points == told.points
    assert shuffled.earned == told.earned


def capped_and_taken_back(scores: Scores) -> bool:
    return any(effect.points_wanted < 0 == effect.points_given for effect in scores.effects.values())


def two_versions_on_a_day(scores: Scores) -> bool:
    ruled = {(e.person, e.act, e.ruleset) for e in scores.effects.values() if e.points_given > 0}
    return any((person, act, other) in ruled for person, act, number in ruled for other in range(1, number))


def booked_by_refunds(scores: Scores, level: int, times: int) -> bool:
    refunds = [key[0] for key, booking in scores.commission.items() if key[1] and key[2] == level and booking.amount]
    return any(refunds.count(purchase) >= times for purchase in refunds)


CORNERS: dict[str, Callable[[Scores], Any]] = {
    "an act above the cap is taken back": capped_and_taken_back,
    "two versions have a cap each": two_versions_on_a_day,
    "three refunds book": lambda scores: booked_by_refunds(scores, 1, 3),
    "refunds book at level 2": lambda scores: booked_by_refunds(scores, 2, 2),
    "one person is scored on two days": lambda scores: any(len(days) > 1 for days in scores.day_scores.values()),
}


def test_the_histories_reach_every_corner() -> None:
    reached: set[str] = set()

    @settings(max_examples=500, deadline=None, database=None, phases=[Phase.generate], derandomize=True)
    @given(history=histories())
    def look(history: History) -> None:
        scores = by_the_rules(history)
        reached.update(corner for corner, there in CORNERS.items() if there(scores))

    look()
    assert reached == CORNERS.keys()
